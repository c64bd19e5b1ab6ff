"""Patches of the spectrogram, reduced to the network's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESIZE = ("mean", "corners")


@dataclass(frozen=True)
class PatchSettings:
    """A patch of ``slices``, and how many of them and of the rows become one column and one band of the input."""

    slices: int
    reduce_time: int
    reduce_frequency: int
    resize: str

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> PatchSettings:
        """From ``model.json``."""
        slices, time, frequency = (int(facts[name]) for name in ("slices", "reduce_time", "reduce_frequency"))
        return cls(slices, time, frequency, str(facts["resize"]))


def cut_patch(values: NDArray[np.float32], centre: int, settings: PatchSettings) -> NDArray[np.float32]:
    """The patch around slice ``centre``, float32 ``[1, columns, bands, 1]``; outside of ``values`` all is zero."""
    half = settings.slices // 2
    first, last = max(0, centre - half), min(len(values), centre + half)
    patch = np.zeros((2 * half, values.shape[1]), np.float32)
    patch[first - centre + half : last - centre + half] = values[first:last]
    return _reduced(patch, settings)[None, :, :, None]


def _reduced(patch: NDArray[np.float32], settings: PatchSettings) -> NDArray[np.float32]:
    time, frequency = settings.reduce_time, settings.reduce_frequency
    slices, rows = patch.shape
    rows -= rows % frequency
    patch = patch[:, :rows]
    if settings.resize == "corners":
        return _corners(_corners(patch, round(slices * (1 / time)), 0), round(rows * (1 / frequency)), 1)
    total = np.zeros((slices // time, rows // frequency), np.float32)
    for i in range(time):  # much sooner than a mean over axes as short as these
        for j in range(frequency):
            total += patch[i::time, j::frequency]
    return total * np.float32(1 / (time * frequency))


def _corners(values: NDArray[np.float32], size: int, axis: int) -> NDArray[np.float32]:
    """Linear interpolation to ``size`` points, the first and the last on the corners, as scipy.ndimage.zoom does."""
    n = values.shape[axis]
    at = np.arange(size) * ((n - 1) / (size - 1) if size > 1 else 1.0)
    left = np.clip(np.floor(at).astype(np.intp), 0, max(0, n - 2))
    share = (at - left).astype(np.float64)
    share = share[:, None] if axis == 0 else share[None, :]
    right = np.minimum(left + 1, n - 1)
    mixed = values.take(left, axis) * (1 - share) + values.take(right, axis) * share
    # Rounding can put the last point a hair beyond the corner, and there scipy, and so the training, sees 0.
    mixed[(at > n - 1) if axis == 0 else (slice(None), at > n - 1)] = 0
    return np.asarray(mixed, np.float64 if axis == 0 else np.float32)
