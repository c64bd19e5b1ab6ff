"""The parts that all embedders with a description share: windows in, checked rows of numbers out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ecotf.errors import ConfigError, RecordingError
from ecotf.features.threads import in_threads
from ecotf.models.embedders.base import EmbedderConfig
from ecotf.models.embedders.described import DescribedConfig, digest_of


class DescribedEmbedder:
    """An embedder with a description; see `ecotf.models.embedders.base.Embedder`.

    A kind of model fills in `_answer`. Windows go through the model one at a time, in as many threads as there are
    cores: an embedding then never depends on its company. (Of BirdNET 2.4, 16 windows at once are 5 % faster and change
    the last digit.)

    Parameters
    ----------
    config
        Its ``model`` is a full path.
    files
        All files of the model.
    has_scores
        Whether the second answer is the scores.

    Attributes
    ----------
    threads
        Cores to use.
    """

    def __init__(self, config: DescribedConfig, files: Iterable[Path], has_scores: bool) -> None:
        assert config.model is not None
        self.config: EmbedderConfig = config
        self.sample_rate, self.samples, self.hop_samples = config.rate_hz, config.window, config.hop
        self.title, self.licence = config.title or config.model.name, config.licence
        self.threads = len(os.sched_getaffinity(0))
        self._described, self._source, self._has_scores = config, str(config.model), has_scores
        answers = self._answer(np.zeros(self.samples, np.float32))
        self.numbers = self._row_length(answers[0], "the embedding", config.numbers)
        self.classes = config.read_labels() if has_scores else ()
        if self.classes:
            self._row_length(answers[1], f"the scores, which {config.labels} names,", len(self.classes))
        self.digest = digest_of(config, files)

    def _answer(self, window: np.ndarray) -> list[np.ndarray]:
        """Run one window ``[samples]``: copies of the embedding and, where there are any, of the scores."""
        raise NotImplementedError

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Embed windows ``[n, samples]``: float32 ``[n, numbers]``."""
        return self._checked(self._rows(windows, 0, self.numbers))

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Compute the model's own scores: probabilities ``[n, classes]``."""
        if not self._has_scores:
            raise ConfigError(f"{self._source}: gives no scores; its description names none")
        if not self.classes:
            labels = self._described.labels
            why = "its description has no key labels" if labels is None else f"put {labels.name} beside the model"
            raise ConfigError(f"{self._source}: its scores have no names; {why}")
        return self._checked(_probabilities(self._rows(windows, 1, len(self.classes)), self._described.activation))

    def _rows(self, windows: np.ndarray, answer: int, numbers: int) -> np.ndarray:
        windows = check_windows(windows, self.samples, self._source)
        rows = np.empty((len(windows), numbers), np.float32)

        def work(number: int) -> None:
            rows[number] = self._answer(_prepared(windows[number], self._described))[answer].reshape(-1)

        in_threads(work, len(windows), self.threads)
        return rows

    def _checked(self, rows: np.ndarray) -> np.ndarray:
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            number = int(np.argmin(finite)) + 1
            raise RecordingError(f"{self._source}: gives NaN or infinity for window {number} of {len(rows)}", "failed")
        return rows

    def _row_length(self, values: np.ndarray, what: str, expected: int | None) -> int:
        """Return the length of the answer for one window, which must be a row."""
        if values.size == 0 or max(values.shape, default=1) != values.size:
            shape = list(values.shape)
            raise ConfigError(f"{self._source}: {what} has the shape {shape}; allowed: one row of numbers a window")
        if expected is not None and values.size != expected:
            raise ConfigError(f"{self._source}: {what} has {values.size} numbers; expected were {expected}")
        return int(values.size)


def check_windows(windows: np.ndarray, samples: int, source: str) -> np.ndarray:
    """Return windows as float32 ``[n, samples]``; raises `ConfigError` for another shape."""
    windows = np.asarray(windows)
    if windows.ndim != 2 or windows.shape[1] != samples or windows.dtype.kind != "f":
        raise ConfigError(
            f"{source}: windows of type {windows.dtype} and shape {windows.shape}; allowed: floats, [n, {samples}]"
        )
    return np.ascontiguousarray(windows, np.float32)


def _prepared(window: np.ndarray, config: DescribedConfig) -> np.ndarray:
    """Bring the samples of a window to the size that the model expects."""
    if config.peak is not None:
        window = window - window.mean(dtype=np.float64).astype(np.float32)
        highest = np.abs(window).max()
        return window * np.float32(config.peak / highest) if highest > 0 else window
    return window * np.float32(config.scale)


def _probabilities(values: np.ndarray, activation: str) -> np.ndarray:
    if activation == "sigmoid":
        return (1 / (1 + np.exp(-np.clip(values, -60, 60)))).astype(np.float32)
    if activation == "softmax":
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return values
