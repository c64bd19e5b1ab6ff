"""Levels of a finished spectrogram: decibels under its peak, background taken away, values brought into a range."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecotf._kernels import spectrogram as kernels
from ecotf.features.frames import checked_frames


def decibels(
    power: NDArray[Any], reference: float | Literal["peak"] = 1.0, floor: float = 1e-10, range_db: float | None = 80.0
) -> NDArray[np.float32]:
    """10 log10(max(power, floor) / reference), no lower than ``range_db`` under the peak (as librosa.power_to_db).

    Parameters
    ----------
    power
        Powers, at least 0, of any shape.
    reference
        The power of 0 dB; ``"peak"``: the greatest in ``power``.
    range_db
        None: keep everything above ``floor``.
    """
    power = np.asarray(power, np.float32)
    if floor <= 0 or (reference != "peak" and reference <= 0):
        raise ValueError(f"reference = {reference}, floor = {floor}: must be above 0")
    if not power.size:
        return power.copy()
    unit = max(float(power.max()) if reference == "peak" else float(reference), floor)
    levels = 10 * np.log10(np.maximum(power, np.float32(floor))) - np.float32(10 * np.log10(unit))
    if range_db is not None:
        levels = np.maximum(levels, levels.max() - np.float32(range_db))
    return np.asarray(levels, np.float32)


def denoised(values: NDArray[Any], background: Literal["mean", "median"] = "median") -> NDArray[np.float32]:
    """Every row without its mean or median over all frames; what is left is never below 0.

    Parameters
    ----------
    values
        [n_frames, n_rows], finite.
    """
    values = checked_frames(values)
    if background not in ("mean", "median"):
        raise ValueError(f"background = {background!r}: allowed are mean, median")
    n_frames, n_rows = values.shape
    if not values.size:
        return values.copy()
    levels = np.zeros((n_frames, n_rows + -n_rows % kernels.LANES_IN_VECTOR), np.float32)
    levels[:, :n_rows] = values
    out = np.empty_like(values)
    kernels.finish_block(levels, n_frames, n_rows, 1 if background == "mean" else 2, 0.0, np.ones(1, np.float32), out)
    return out


def min_max(values: NDArray[Any], axis: int | tuple[int, ...] | None = None) -> NDArray[np.float32]:
    """Brought into [0, 1]: the least becomes 0, the greatest 1, along ``axis`` (None: over all). All equal gives 0."""
    values = np.asarray(values, np.float32)
    if not values.size:
        return values.copy()
    least = values.min(axis=axis, keepdims=True)
    span = values.max(axis=axis, keepdims=True) - least
    return np.asarray((values - least) / np.where(span > 0, span, 1), np.float32)


def standardised(values: NDArray[Any], axis: int | tuple[int, ...] | None = None) -> NDArray[np.float32]:
    """Mean 0 and standard deviation 1 along ``axis`` (None: over all). All equal gives 0."""
    values = np.asarray(values, np.float32)
    if not values.size:
        return values.copy()
    middle = values - values.mean(axis=axis, keepdims=True, dtype=np.float64).astype(np.float32)
    spread = middle.std(axis=axis, keepdims=True, dtype=np.float64).astype(np.float32)
    return np.asarray(middle / np.where(spread > 0, spread, 1), np.float32)
