"""The lessons of the stage ``fit_projection``: those of ``fit_episodes``, on embeddings in place of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import DataError
from ecotf.models.projection import ProjectedConfig, ProjectedHead, build_projected
from ecotf.pipelines.clips import Clips
from ecotf.pipelines.episodes import draw_episodes
from ecotf.tasks.clips.episode_lessons import ClassicalLesson, EpisodicLesson, JudgedByEpisodes
from ecotf.tasks.clips.episode_rule import comparing
from ecotf.tasks.clips.fit_clips import fit_clips
from ecotf.tasks.clips.fit_head import sounds_of_clips
from ecotf.tasks.clips.species_clips import in_the_middle, require_clips_of_all, silent_lines

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.models.frozen import Frozen
    from ecotf.pipelines.image_batches import ClipImages, EpochDraws
    from ecotf.tasks.clips.episodic_transfer import EpisodicTransferRecipe
    from ecotf.tasks.clips.fit_projection import FitProjectionStage
    from ecotf.tasks.clips.stages import FitClipsStage, Material
    from ecotf.training.stages import FitPlace

_AT_ONCE, _TOLD = 16, 5


@dataclass(frozen=True)
class Embedded:
    """Clips with their embeddings; silent ones and what cannot be read are left out.

    Attributes
    ----------
    kept
        int ``[n]``: which of the clips they are.
    rows
        float32 ``[n, numbers]``
    problems
        What was left out, for people.
    """

    clips: Clips
    kept: np.ndarray
    rows: np.ndarray
    problems: tuple[str, ...]


def embed_whole(clips: Clips, model: Frozen, material: Material) -> Embedded:
    """Embed clips: the mean of the embedder's windows in each; raises `DataError` where not one can be read."""
    problems: dict[str, str] = {}
    read: list[int] = []
    silent: list[str] = []

    def sounds() -> Iterator[np.ndarray]:
        for number, sound in sounds_of_clips(clips, model.sample_rate, material.data, material.seed, problems):
            if np.ptp(sound):
                read.append(number)
                yield sound
            else:
                silent.append(clips.recordings[clips.table.recording[number]])

    parts, waiting = [], []
    for sound in sounds():
        waiting.append(sound)
        if len(waiting) == _AT_ONCE:
            parts.append(model.embed(np.stack(waiting)))
            waiting = []
    if waiting:
        parts.append(model.embed(np.stack(waiting)))
    said = (*problems.values(), *silent_lines(silent))
    if not parts:
        raise DataError(f"not one clip can be read; {next(iter(said), '')}")
    kept = np.array(read)
    return Embedded(replace(clips, table=clips.table.take(kept)), kept, np.concatenate(parts), said)


class _OnEmbeddings(JudgedByEpisodes):
    """What both lessons have of their own: where batches come from."""

    def __init__(
        self,
        network: Any,
        stage: FitClipsStage,
        material: Material,
        train: Clips,
        weights: np.ndarray | None,
        *,
        embedder: Frozen,
        learned: Embedded,
    ) -> None:
        super().__init__(network, stage, material, learned.clips, weights)
        self._embedder, self._learned = embedder, learned

    def images(self, clips: Clips, report: Any, threads: int) -> Any:
        """Make none: clips are embedded."""
        return None

    def validation(self, images_of: Callable[[Clips], ClipImages]) -> Any:
        """Embed the clips of the validation episodes; one batch, which is the same for every epoch."""
        if self.valid is None:
            return None
        wanted = self.valid[0].clips
        numbered = replace(wanted, table=wanted.table.take(self.used))
        found = embed_whole(numbered, self._embedder, self.material)
        self.told += found.problems[:_TOLD]
        return [(*_tensors(found.rows, found.clips.table.targets), _as_tensor(found.kept))]


class EpisodicProjection(_OnEmbeddings, EpisodicLesson):
    """Learns from episodes of rows."""

    def batches(self, images: ClipImages, draws: EpochDraws) -> tuple[Any, int]:
        """Draw the episodes of an epoch, and say how many clips they have."""
        size = self.size
        drawn = draw_episodes(self.source, size, draws.seed, draws.number)
        truth = np.eye(size.way, dtype=np.float32)[size.class_index]
        batches = (_tensors(self._learned.rows[rows], truth) for rows in drawn.rows)
        return batches, size.episodes * size.n_clips


class ClassicalProjection(_OnEmbeddings, ClassicalLesson):
    """Learns the training species from labels, every row once an epoch."""

    def batches(self, images: ClipImages, draws: EpochDraws) -> tuple[Any, int]:
        """Draw the order of an epoch."""
        rows, targets = self._learned.rows, self._learned.clips.table.targets.astype(np.float32)
        order = np.random.default_rng([draws.seed, draws.number]).permutation(len(rows))
        size = self.stage.batch
        parts = (order[at : at + size] for at in range(0, len(order), size))
        return (_tensors(rows[part], targets[part]) for part in parts), len(rows)


_LESSONS = {"episodic": EpisodicProjection, "classical": ClassicalProjection}


def fit_projection(
    stage: FitProjectionStage, model: Frozen, material: Material, place: FitPlace
) -> tuple[ProjectedHead, pd.DataFrame]:
    """Fit a projection and its head; see `ecotf.tasks.clips.fit_projection`."""
    plan: EpisodicTransferRecipe = material.data.plan
    clips = material.data.training_clips(stage, material.classes)
    learned = embed_whole(in_the_middle(clips, material.data.durations, plan.clips), model, material)
    for line in learned.problems[:_TOLD]:
        place.log(f"{stage.title}: left out: {line}")
    counts = (learned.clips.table.targets > 0.5).sum(axis=0)
    require_clips_of_all(material.classes, counts, f"stage {stage.title!r}")
    numbers = learned.rows.shape[1]
    config = ProjectedConfig(
        numbers=numbers, n_classes=len(material.classes), projection=plan.project, head=plan.head,
        activation=stage.activation,
    )  # fmt: skip
    head = build_projected(config, material.seed)
    head.settle(learned.rows)
    place.log(f"{stage.title}: {len(learned.rows)} embeddings of {numbers} numbers, {head.n_parameters:,} parameters")
    lesson = partial(_LESSONS[stage.training], embedder=model, learned=learned)
    network: Any = head  # what a lesson asks of a network of clips, this has
    history = fit_clips(network, stage, material, place, lesson)
    compared = comparing(network)(learned.rows).astype(np.float64)
    there = (learned.clips.table.targets > 0.5).astype(np.float64)
    means = np.tensordot(there.T, compared, 1) / counts.reshape(-1, *[1] * (compared.ndim - 1))
    plan.head.set_classes(head.head, means.astype(np.float32))
    place.log(f"{stage.title}: the classes are the means of {int(counts.sum())} clips")
    return head, history


def _tensors(rows: np.ndarray, targets: np.ndarray) -> tuple[Any, ...]:
    values = rows, np.asarray(targets, np.float32), np.ones(len(rows), np.float32)
    return tuple(map(_as_tensor, values))


def _as_tensor(values: np.ndarray) -> Any:
    import tensorflow as tf

    return tf.constant(values)
