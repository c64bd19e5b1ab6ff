"""Examples that int8 is calibrated with, and the recordings that they are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecotf.errors import ConfigError


@dataclass(frozen=True)
class Calibration:
    """The sound that int8 is calibrated with.

    Attributes
    ----------
    inputs
        Examples of the quantised stages' inputs by their names, float32 ``[n, ...]`` each.
    recordings
        What they are from.
    """

    inputs: Mapping[str, np.ndarray]
    recordings: tuple[str, ...]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


def evenly(n: int, most: int) -> NDArray[np.int64]:
    """Choose at most ``most`` of ``n`` places, evenly drawn, without repeats."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64)) if n else np.empty(0, np.int64)


def no_training_recordings(run: Path) -> ConfigError:
    """Make the error for a run of which no training recording is found."""
    return ConfigError(
        f"--precision int8 is calibrated with the run's training recordings, and none that {run}/manifest.csv names is "
        "there; say where they are with --recordings FOLDER, or export with --precision f16"
    )
