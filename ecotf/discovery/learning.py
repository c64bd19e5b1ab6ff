"""What hears better after each iteration: a network that learns the clusters, or a projection of embeddings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ecotf.clustering.methods import NOISE
from ecotf.clustering.micro import BLOCK, Rows
from ecotf.clustering.scaling import fit_scale
from ecotf.discovery.sounds import write_sounds
from ecotf.embeddings.store import open_embeddings
from ecotf.files import atomic_file, explain_write_errors
from ecotf.inference.embed_job import EmbedOptions, embed_recordings
from ecotf.inference.question import NAME as QUESTION
from ecotf.models.heads import HEADS
from ecotf.models.heads.dense_layers import DenseLayers
from ecotf.tasks.cluster_recipe import ClusterRecipe
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    import pandas as pd

RUNS, ROWS, SOUNDS, EMBEDDED, HEAD = "runs", "rows.f16", "sounds", "embeddings", "projection"


class Learner(Protocol):
    """Learns from clusters, and embeds all clips again."""

    @property
    def what(self) -> str:
        """What learns, in a few words."""

    def learn(self, labels: np.ndarray, probability: np.ndarray, before: Rows, folder: Path, seed: int) -> Rows:
        """Learn, and return the new rows of all clips; all that is written is in ``folder``.

        What a kill left there is gone on with, and gives the same rows.

        Parameters
        ----------
        labels, probability
            Of all clips, ``[n]``; noise is not learned from.
        before
            The rows that were clustered.
        """

    def rows_of(self, folder: Path) -> Rows:
        """Open the rows that an earlier `learn` made in ``folder``."""

    def tidy(self, folder: Path) -> None:
        """Remove from the folder of an iteration what only the next one needed: rows and sounds."""


def learned_from(labels: np.ndarray, probability: np.ndarray, most: int) -> np.ndarray:
    """Choose the clips to learn from: of each cluster the surest ones, at most ``most``; positions, sorted."""
    order = np.lexsort((np.arange(len(labels)), -probability, labels))
    order = order[labels[order] != NOISE]
    starts = np.flatnonzero(np.diff(labels[order], prepend=NOISE))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return np.sort(order[rank < most])


class KeptRows:
    """Rows of half-precision numbers in one file."""

    def __init__(self, path: Path, columns: int) -> None:
        self._values = np.memmap(path, np.float16, "r").reshape(-1, columns)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._values)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Read some: float32."""
        return np.asarray(self._values[positions], np.float32)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, np.ndarray]]:
        """Yield all in order."""
        for at in range(0, len(self), size):
            yield at, np.asarray(self._values[at : at + size])


@dataclass(frozen=True)
class ProjectionLearner:
    """A small network over embeddings tells the clusters apart; its hidden layer is the next embedding."""

    recipe: ClusterRecipe
    threads: int
    log: Log

    @property
    def what(self) -> str:
        """What learns."""
        return "a projection of the embeddings"

    def learn(self, labels: np.ndarray, probability: np.ndarray, before: Rows, folder: Path, seed: int) -> Rows:
        """Fit it on a bounded number of clips, and project all; see `Learner.learn`."""
        chosen = learned_from(labels, probability, self.recipe.most_clips)
        scale = fit_scale((block[np.isfinite(block).all(axis=1)] for _, block in before.blocks()), "unit")
        targets = np.eye(int(labels.max()) + 1)[labels[chosen]]
        head: Any = HEADS.build(self.recipe.projection, scale(before.rows(chosen)), targets, seed, self.threads)
        layers: DenseLayers = head.parts[0]
        units = layers.kernels[0].shape[1]
        with atomic_file(folder / ROWS) as partial, partial.open("wb") as stream:
            for _, block in before.blocks():
                projected = np.maximum(scale(block) @ layers.kernels[0] + layers.biases[0], 0)
                length = np.linalg.norm(projected, axis=1, keepdims=True)
                stream.write((projected / np.where(length > 0, length, 1.0)).astype(np.float16).tobytes())
        self.log(f"learned {targets.shape[1]} clusters from {len(chosen)} clips: {units} numbers a clip")
        return KeptRows(folder / ROWS, units)

    def rows_of(self, folder: Path) -> Rows:
        """Open the rows of an iteration."""
        return KeptRows(folder / ROWS, self.recipe.projection.units)

    def tidy(self, folder: Path) -> None:
        """Remove the rows."""
        with explain_write_errors(folder / ROWS):
            (folder / ROWS).unlink(missing_ok=True)


@dataclass(frozen=True)
class NetworkLearner:
    """The network of a run learns the clusters as one more stage, and embeds all sound again.

    Attributes
    ----------
    run
        Where it begins, in the first iteration; later ones go on from the one before.
    clips
        The table of clips.
    wanted
        What is embedded: recordings, or a manifest.
    options
        How.
    """

    run: Path
    recipe: ClusterRecipe
    clips: pd.DataFrame
    wanted: Any
    options: EmbedOptions
    hop_s: float | None
    threads: int
    log: Log

    @property
    def what(self) -> str:
        """What learns."""
        return "the network of the run"

    def learn(self, labels: np.ndarray, probability: np.ndarray, before: Rows, folder: Path, seed: int) -> Rows:
        """Cut the clips, train, embed; see `Learner.learn`."""
        from ecotf.runs.progress import read_progress
        from ecotf.tasks.fine_tuning import fine_tuning_recipe
        from ecotf.tasks.training_run import resume_run, train_run

        assert self.recipe.network is not None
        done = self._run_in(folder)
        progress = {} if done is None else read_progress(done)
        if done is not None and progress["complete"]:
            return self._embed(done, folder)
        if done is not None and "manifest" in progress["done"]:
            resume_run(done, cache=folder / SOUNDS / "cache", threads=self.threads, log=self.log)
            return self._embed(done, folder)
        shutil.rmtree(folder / RUNS, ignore_errors=True)
        shutil.rmtree(folder / SOUNDS, ignore_errors=True)
        chosen = learned_from(labels, probability, self.recipe.most_clips)
        count = int(labels.max()) + 1
        begin = self._begin(folder)
        trained = fine_tuning_recipe(begin, self.recipe.network, count, seed)
        rate = trained.sample_rate
        manifest = write_sounds(
            self.clips.iloc[chosen], labels[chosen], folder / SOUNDS, rate, self.options, self.log
        )  # fmt: skip
        cache = folder / SOUNDS / "cache"
        made = train_run(trained, manifest, folder / RUNS, cache=cache, threads=self.threads, log=self.log)
        return self._embed(made, folder)

    def rows_of(self, folder: Path) -> Rows:
        """Open the embeddings of an iteration."""
        return open_embeddings(folder / EMBEDDED)

    def tidy(self, folder: Path) -> None:
        """Remove the sounds and the embeddings; the run stays."""
        for name in (SOUNDS, EMBEDDED):
            shutil.rmtree(folder / name, ignore_errors=True)

    def _begin(self, folder: Path) -> Path:
        """Return the run of the iteration before, or the one that was given."""
        before = self._run_in(folder.with_name(f"{int(folder.name) - 1:02d}"))
        return before if before is not None else self.run

    def _run_in(self, folder: Path) -> Path | None:
        found = sorted((folder / RUNS).glob("**/progress.json"))
        return found[0].parent if found else None

    def _embed(self, run: Path, folder: Path) -> Rows:
        from ecotf.tasks.run_embedder import open_embedder

        embedder = open_embedder(run, None, self.hop_s)
        known = (folder / EMBEDDED / QUESTION).exists()
        embed_recordings(embedder, self.wanted, folder / EMBEDDED, self.options, resume=known)
        shutil.rmtree(folder / SOUNDS, ignore_errors=True)
        return open_embeddings(folder / EMBEDDED)
