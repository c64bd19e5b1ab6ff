"""A trained run of any task as an embedder.

Importing this module adds the entry ``run`` to the registry, so whoever may be given a run takes `open_embedder` from
here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.config import read_yaml
from ecotf.errors import ConfigError
from ecotf.models.embedders import EMBEDDERS, Embedder, EmbedderConfig, build_embedder, open_embedder
from ecotf.models.embedders.described_embedder import check_windows
from ecotf.runs.checksum import run_checksum
from ecotf.runs.progress import PROGRESS
from ecotf.tasks.loading import load_runs
from ecotf.tasks.recipes import read_run_recipe

__all__ = ["RunEmbedder", "RunEmbedderConfig", "build_embedder", "open_embedder"]

_WINDOW_S = 1.0


class RunEmbedderConfig(EmbedderConfig):
    """A run folder.

    Attributes
    ----------
    rate_hz
        The rate of its sound. A run that resamples has its own; one that does not is given the lowest that carries its
        band.
    seconds
        Length of a window: that of the run's segments, or 1 s where it has none.
    whole
        Its network hears a window as one, whatever the length of its segments.
    """

    described: ClassVar[bool] = False

    name: Literal["run"] = "run"
    rate_hz: int | None = Field(None, gt=0)
    seconds: float | None = Field(None, gt=0)
    whole: bool = False

    @property
    def window_s(self) -> float | None:
        """Length of a window: as stated, or that of the run's segments."""
        if self.seconds is not None or self.model is None:
            return self.seconds
        values = read_yaml(self.model / "recipe.yaml")
        return float(values.get("inference", {}).get("segment_s", _WINDOW_S))

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether it is a run folder."""
        return (path / PROGRESS).is_file()


@EMBEDDERS.register(RunEmbedderConfig)
def build_run(config: RunEmbedderConfig) -> Embedder:
    """Load the run; raises `ConfigError`."""
    return RunEmbedder(config)


def with_window(config: EmbedderConfig, seconds: float) -> EmbedderConfig:
    """Return the config of a run that hears windows of ``seconds`` as one, or the config of another kind as it is.

    Where the run's network hears at least more than that, that is its window.
    """
    if not isinstance(config, RunEmbedderConfig) or config.model is None:
        return config
    shortest: float = getattr(read_run_recipe(config.model), "shortest_whole_s", 0.0)
    return config.model_copy(update={"seconds": max(seconds, shortest), "whole": True})


class RunEmbedder:
    """A run that embeds windows; see `ecotf.models.embedders.base.Embedder`.

    A window may hold several segments or peaks. Its embedding is the mean of theirs, and 0 where there is none; its
    scores are the highest of each class.
    """

    def __init__(self, config: RunEmbedderConfig) -> None:
        if config.model is None:
            raise ConfigError("embedder run: no model; say where the run folder is")
        self.config: EmbedderConfig = config
        self.threads = 1
        self._run = load_runs([config.model])
        self.sample_rate = self._run.stream_rate(config.rate_hz or _lowest_rate(self._run.recipe))
        self.samples = round((config.seconds or self._run.segment_s or _WINDOW_S) * self.sample_rate)
        if self.samples < self._run.shortest_s * self.sample_rate:
            raise ConfigError(f"{config.model}: windows of {config.seconds:g} s; at least {self._run.shortest_s:g} s")
        self.hop_samples = self.samples if config.hop_s is None else max(1, round(config.hop_s * self.sample_rate))
        self._whole = config.whole
        self.numbers = int(self._embedded(np.zeros((1, self.samples), np.float32)).shape[1])
        self.classes = tuple(self._run.classes)
        self.title, self.licence = config.title or f"run of {self._run.title}", config.licence
        kept = f"{run_checksum(config.model)} {self.sample_rate} {self.samples}{' whole' * config.whole}"
        self.digest = hashlib.blake2b(kept.encode(), digest_size=16).hexdigest()

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Embed windows ``[n, samples]``: float32 ``[n, numbers]``."""
        windows = check_windows(windows, self.samples, str(self.config.model))
        return self._embedded(windows) if len(windows) else np.zeros((0, self.numbers), np.float32)

    def _embedded(self, windows: np.ndarray) -> np.ndarray:
        return self._run.embed_each(windows, self.sample_rate, self._whole)

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Compute the run's scores: the highest of each class, float32 ``[n, classes]``."""
        rows = np.zeros((len(windows), len(self.classes)), np.float32)
        for number, window in enumerate(check_windows(windows, self.samples, str(self.config.model))):
            found = self._run.scores(window, self.sample_rate).groupby("label")["score"].max()
            rows[number] = [found.get(name, 0.0) for name in self.classes]
        return rows


def _lowest_rate(recipe: Any) -> int:
    """Return a rate in Hz that carries the band of a recipe; a run that has a rate of its own takes any for that."""
    front_end = getattr(recipe, "front_end", None)
    return 1 if front_end is None else int(getattr(recipe, "sample_rate", None) or round(2 * front_end.high_hz))
