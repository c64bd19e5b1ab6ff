"""The models of a training on a frozen embedder: opened, with the head that was fitted, kept, and read from a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.embeddings import EmbeddingCache, embed_windows
from ecotf.errors import ConfigError
from ecotf.models.embedders import Embedder, EmbedderConfig
from ecotf.models.embedders.base import find_config, with_hop
from ecotf.models.embedders.keeping import open_kept_embedder
from ecotf.models.frozen import EMBEDDER, HEAD, Frozen, FrozenModel

if TYPE_CHECKING:
    from ecotf.tasks.clips.transfer_recipe import TransferRecipe
    from ecotf.training.run_store import RunStore

_FITTED_ON = "fitted_on.json"


class HeadModels:
    """The embedder of a recipe and the head of its stage; see `ecotf.tasks.clips.plan.StageModels`."""

    def __init__(self, plan: TransferRecipe, cache: Path | None) -> None:
        self._plan, self._cache = plan, cache

    @cached_property
    def frozen(self) -> Frozen:
        """The embedder; what it has embedded once is read from the cache."""
        embedder = open_chosen(self._plan)
        if self._cache is not None:
            embedder = KeepingEmbedder(embedder, self._cache / "embeddings")
        return frozen_model(self._plan, embedder)

    def begin(self, number: int, classes: Sequence[str], run_store: RunStore) -> tuple[Frozen, str]:
        """Open the embedder."""
        licence = f" ({self.frozen.embedder.licence})" if self.frozen.embedder.licence else ""
        return self.frozen, f"a head on {self.frozen.embedder.title}{licence}"

    def keep(self, model: FrozenModel, classes: Sequence[str], folder: Path) -> None:
        """Write the head, and which embedder it was fitted on."""
        model.head.save(folder)
        (folder / _FITTED_ON).write_text(json.dumps({"digest": model.embedder.digest, "classes": list(classes)}))

    def finished(self, folder: Path, classes: Sequence[str]) -> FrozenModel:
        """Make the model; raises `ConfigError` where the embedder has changed since the head was fitted."""
        fitted_on = json.loads((folder / _FITTED_ON).read_text())
        if fitted_on["digest"] != self.frozen.embedder.digest:
            raise ConfigError(
                f"{self._plan.embedder.model}: the embedder has changed since the head was fitted on it; put the "
                "earlier file back, or train again"
            )
        return self.frozen.with_head(self._plan.read_head(folder), tuple(classes), self._plan.pool)


class KeepingEmbedder:
    """An embedder that never embeds the same window twice; see `ecotf.models.embedders.base.Embedder`."""

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        self._embedder, self._cache = embedder, EmbeddingCache(folder, embedder)
        self.config: EmbedderConfig = embedder.config
        self.sample_rate, self.samples, self.hop_samples = embedder.sample_rate, embedder.samples, embedder.hop_samples
        self.numbers, self.classes = embedder.numbers, embedder.classes
        self.threads = embedder.threads
        self.title, self.licence, self.digest = embedder.title, embedder.licence, embedder.digest

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Embed windows ``[n, samples]``: float32 ``[n, numbers]``."""
        return embed_windows(self._embedder, windows, self._cache)

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Compute the model's own scores; they are not kept."""
        return self._embedder.scores(windows)


def open_chosen(plan: TransferRecipe) -> Embedder:
    """Open the embedder of a recipe, and refuse one that does not fit it; raises `ConfigError`."""
    from ecotf.tasks.run_embedder import build_embedder, with_window

    chosen = plan.embedder
    if chosen.model is None:
        raise ConfigError(
            f"{plan.name}: embedder.model is missing; say where your model is, for example "
            "embedder.model=BirdNET.tflite embedder.description=birdnet_2.4"
        )
    config = find_config(chosen.model) if chosen.description is None else find_config(chosen.description, chosen.model)
    if chosen.hop_s is not None:
        config = with_hop(config, chosen.hop_s)
    embedder = build_embedder(config if chosen.window_s is None else with_window(config, chosen.window_s))
    window_s = embedder.samples / embedder.sample_rate
    if round(plan.clips.seconds * embedder.sample_rate) < embedder.samples:
        raise ConfigError(
            f"{plan.name}: clips.seconds = {plan.clips.seconds:g}, but {embedder.title} hears {window_s:g} s at once; "
            "allowed: at least that"
        )
    return embedder


def frozen_model(plan: TransferRecipe, embedder: Embedder) -> Frozen:
    """Return an embedder with the length of sound that the recipe asks about."""
    asked_s = plan.inference.window_s or plan.inference.segment_s
    heard_s = max(asked_s, embedder.samples / embedder.sample_rate)
    gives_frames = plan.inference.report == "events"
    return Frozen(embedder, heard_s, listen_s=plan.embedder.listen_s, gives_frames=gives_frames)


def load_frozen(plan: TransferRecipe, folder: Path, classes: Sequence[str]) -> FrozenModel:
    """Read the embedder and the head that a run keeps in ``folder``."""
    import ecotf.tasks.run_embedder  # noqa: F401 - the embedder may be a run

    frozen = frozen_model(plan, open_kept_embedder(folder / EMBEDDER))
    return frozen.with_head(plan.read_head(folder / HEAD), tuple(classes), plan.pool)
