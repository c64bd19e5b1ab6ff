"""The description of a model that ecotf did not make."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ecotf.errors import ConfigError
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
    peak
        The mean of each window is taken away, and its greatest sample scaled to this, in place of ``scale``.
    numbers
        The length of an embedding. It is checked, where it is given.
    activation
        Makes the scores probabilities, where the model gives logits.
    labels
        A file with the names of the scores, a name a line, or a CSV table; it lies beside the description or the model.
    labels_column
        The column of that table; its first one if left out.
    """

    described: ClassVar[bool] = True

    rate_hz: int = Field(gt=0)
    samples: int | None = Field(None, gt=0)
    seconds: float | None = Field(None, gt=0)
    input_shape: tuple[int | None, ...] | None = None
    scale: float = 1.0
    peak: float | None = Field(None, gt=0)
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
        if self.labels_column is not None and (self.labels is None or self.labels.suffix != ".csv"):
            raise ValueError("labels_column goes with labels that are a .csv table")
        if self.peak is not None and self.scale != 1:
            raise ValueError("scale and peak: the samples are scaled by one or the other")
        return self

    @property
    def window(self) -> int:
        """The length of a window in samples."""
        return self.samples if self.samples is not None else round((self.seconds or 0) * self.rate_hz)

    @property
    def window_s(self) -> float:
        """The length of a window in seconds."""
        return self.window / self.rate_hz

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
                if self.labels.suffix != ".csv":
                    return tuple(line.strip() for line in opened if line.strip())
                header, *rows = [row for row in csv.reader(opened) if row] or [[]]
                column = 0 if self.labels_column is None else header.index(self.labels_column)
                return tuple(row[column].strip() for row in rows)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.labels}: cannot be read ({error})") from None
        except (ValueError, IndexError):
            raise ConfigError(f"{self.labels}: not every row has a column {self.labels_column!r}") from None


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


def _product(shape: tuple[int | None, ...]) -> int:
    return math.prod(size or 1 for size in shape)


def _shown(shape: Iterable[int | None]) -> str:
    return f"[{', '.join('null' if size is None else str(size) for size in shape)}]"
