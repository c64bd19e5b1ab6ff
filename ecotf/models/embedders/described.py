"""What a description says of a model that ecotf did not make, and what the model's answers are held to."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ecotf.errors import ConfigError, RecordingError
from ecotf.models.embedders.base import EmbedderConfig

_NO_CHANGE = ("title", "licence", "model", "hop_s", "numbers", "scores", "activation", "labels", "labels_column")
"""Keys that leave the embedding of a window as it is."""


class DescribedConfig(EmbedderConfig):
    """The description of a model: what it takes, and which of its tensors are what.

    Attributes
    ----------
    rate_hz
        The sample rate of its sound.
    samples, seconds
        The length of its window; one of the two.
    input_shape
        Of the tensor with the sound; null for the number of windows. It is checked, where it is given.
    scale
        The samples, which are in -1 to 1, are multiplied by it.
    numbers
        The length of an embedding. It is checked, where it is given.
    activation
        Makes the scores probabilities, where the model gives logits.
    labels
        A file with the names of the scores, a name a line, or a CSV table; it lies beside the description or the model.
    labels_column
        The column of that table.
    """

    described: ClassVar[bool] = True

    rate_hz: int = Field(gt=0)
    samples: int | None = Field(None, gt=0)
    seconds: float | None = Field(None, gt=0)
    input_shape: tuple[int | None, ...] | None = None
    scale: float = 1.0
    numbers: int | None = Field(None, gt=0)
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    labels: Path | None = None
    labels_column: str | None = None

    @model_validator(mode="after")
    def _one_length(self) -> DescribedConfig:
        if (self.samples is None) == (self.seconds is None):
            raise ValueError("give the length of a window as samples or as seconds, one of the two")
        if self.input_shape is not None and _product(self.input_shape) != self.window:
            raise ValueError(
                f"input_shape = {_shown(self.input_shape)} does not hold a window of {self.window} samples"
            )
        if (self.labels_column is not None) != (self.labels is not None and self.labels.suffix == ".csv"):
            raise ValueError("labels_column goes with labels that are a .csv table, and such a table needs it")
        return self

    @property
    def window(self) -> int:
        """The length of a window in samples."""
        return self.samples if self.samples is not None else round((self.seconds or 0) * self.rate_hz)

    @property
    def hop(self) -> int:
        """From the start of a window to the start of the next, in samples."""
        return self.window if self.hop_s is None else max(1, round(self.hop_s * self.rate_hz))

    def located(self, model: Path, folder: Path) -> DescribedConfig:
        """Return it with the full paths of the model and, where it is there, of the file of labels."""
        labels = self.labels
        if labels is not None:
            beside = (folder / labels, (model if model.is_dir() else model.parent) / labels)
            labels = next((path.resolve() for path in beside if path.is_file()), labels)
        return self.model_copy(update={"model": model.resolve(), "labels": labels})

    def read_labels(self) -> tuple[str, ...]:
        """Read the names of the scores; none where their file is not there."""
        if self.labels is None or not self.labels.is_file():
            return ()
        try:
            with self.labels.open(newline="", encoding="utf-8") as opened:
                if self.labels_column is None:
                    return tuple(line.strip() for line in opened if line.strip())
                return tuple(row[self.labels_column].strip() for row in csv.DictReader(opened))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.labels}: cannot be read ({error})") from None
        except KeyError:
            raise ConfigError(f"{self.labels}: has no column {self.labels_column!r}") from None


def digest_of(config: DescribedConfig, files: Iterable[Path]) -> str:
    """Compute the digest of an embedder: of its files, and of what of its description changes an embedding."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        with file.open("rb") as opened:
            for chunk in iter(lambda: opened.read(1 << 20), b""):
                digest.update(chunk)
    kept = config.model_dump(mode="json", exclude=set(_NO_CHANGE))
    kept |= {"samples": config.window, "seconds": None, "input_shape": None}
    digest.update(json.dumps(kept, sort_keys=True).encode())
    return digest.hexdigest()


def check_windows(windows: np.ndarray, samples: int, source: str) -> np.ndarray:
    """Return windows as float32 ``[n, samples]``; raises `ConfigError` for another shape."""
    windows = np.asarray(windows)
    if windows.ndim != 2 or windows.shape[1] != samples or windows.dtype.kind != "f":
        raise ConfigError(
            f"{source}: windows of type {windows.dtype} and shape {windows.shape}; allowed: floats, [n, {samples}]"
        )
    return np.ascontiguousarray(windows, np.float32)


def check_numbers(rows: np.ndarray, source: str) -> np.ndarray:
    """Return embeddings or scores as they are; raises `RecordingError` where one is no number."""
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        number = int(np.argmin(finite)) + 1
        raise RecordingError(f"{source}: gives NaN or infinity for window {number} of {len(rows)}", "failed")
    return rows


def probabilities(values: np.ndarray, activation: str) -> np.ndarray:
    """Turn scores ``[n, classes]`` into probabilities, as the description says."""
    if activation == "sigmoid":
        return (1 / (1 + np.exp(-np.clip(values, -60, 60)))).astype(np.float32)
    if activation == "softmax":
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return values


def check_classes(config: DescribedConfig, classes: tuple[str, ...], source: str) -> None:
    """Refuse to name scores where the description gives no tensor or no names for them (`ConfigError`)."""
    if getattr(config, "scores", None) is None:
        raise ConfigError(f"{source}: gives no scores; its description names no tensor for them")
    if config.labels is None:
        raise ConfigError(f"{source}: its scores have no names; its description has no key labels")
    if not classes:
        raise ConfigError(f"{source}: its scores have no names; put {config.labels.name} beside the model")


def one_row(values: np.ndarray, what: str, expected: int | None, source: str) -> np.ndarray:
    """Return the answer for one window as a row; raises `ConfigError` where it is none, or of another length."""
    if values.size == 0 or max(values.shape, default=1) != values.size:
        raise ConfigError(f"{source}: {what} has the shape {_shown(values.shape)}; allowed: one row of numbers")
    if expected is not None and values.size != expected:
        raise ConfigError(f"{source}: {what} has {values.size} numbers; the description says {expected}")
    return values.reshape(-1)


def _product(shape: tuple[int | None, ...]) -> int:
    return int(np.prod([size or 1 for size in shape], dtype=np.int64))


def _shown(shape: Iterable[int | None]) -> str:
    return f"[{', '.join('null' if size is None else str(size) for size in shape)}]"
