"""Peaks along time: what scipy.ndimage and scipy.signal do on the desktop, said in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.scoring.block import reflected


def smooth_gaussian(track: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Smooth along the first axis with a Gaussian of ``sigma`` steps; it ends at 4 sigma and the ends reflect."""
    radius = int(4 * sigma + 0.5) if sigma > 0 else 0
    n = len(track)
    if radius == 0 or n == 0:
        return np.array(track, np.float32)
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    taps = weights / (2 * weights.sum() - 1)
    padded = np.asarray(track, np.float64)[reflected(np.arange(-radius, n + radius), n)]
    out = taps[0] * padded[radius : radius + n]
    # From the outside in, the order in which scipy adds, so that the last bit agrees, too.
    for i in range(radius, 0, -1):
        out += taps[i] * (padded[radius - i : radius - i + n] + padded[radius + i : radius + i + n])
    return np.asarray(out, np.float32)


def local_maxima(track: NDArray[np.float32], radius: int, threshold: float) -> NDArray[np.intp]:
    """Positions whose value is above ``threshold`` and the largest within ``radius`` steps on each side.

    Of equal values the first wins; positions near the ends count too.
    """
    n = len(track)
    may = track > threshold
    if radius > 0 and n > 1:  # most fall at the first look
        may[1:] &= track[:-1] < track[1:]
        may[:-1] &= track[1:] <= track[:-1]
    found: NDArray[np.intp] = np.flatnonzero(may)
    if radius < 2 or not len(found):
        return found
    own = track[found]
    before, after = _beside(track, found, radius)
    highest = (before < own[:, None]).all(axis=1) & (after <= own[:, None]).all(axis=1)
    return np.asarray(found[highest], np.intp)


def prominences(track: NDArray[np.float32], peaks: NDArray[np.intp], reach: int) -> NDArray[np.float64]:
    """Measure how far the track falls on both sides of each peak, within ``reach`` steps, before something higher.

    As scipy.signal.peak_prominences with ``wlen = 2 * reach + 1``.
    """
    if not len(peaks):
        return np.empty(0)
    own = track[peaks].astype(np.float64)
    lowest = []
    for side in _beside(track, peaks, reach):
        values = side.astype(np.float64)
        ended = np.logical_or.accumulate((values > own[:, None]) | np.isneginf(values), axis=1)
        values[ended] = np.inf
        lowest.append(np.minimum(own, values.min(axis=1, initial=np.inf)))
    return np.asarray(own - np.maximum(*lowest))


def largest_within(track: NDArray[np.float32], at: NDArray[np.intp], before: int, after: int) -> NDArray[np.float32]:
    """The largest value from ``before`` steps before each position to ``after`` steps after it."""
    index = at[:, None] + np.arange(-before, after + 1)
    return np.asarray(track[np.clip(index, 0, len(track) - 1)].max(axis=1), np.float32)


def refine_peaks(track: NDArray[np.float32], at: NDArray[np.intp]) -> NDArray[np.float64]:
    """Fit a parabola to each peak and its two neighbours; return the distance to its top, in [-0.5, 0.5] steps."""
    out = np.zeros(len(at))
    inner = (at > 0) & (at < len(track) - 1)
    left, top, right = (track[at[inner] + i].astype(np.float64) for i in (-1, 0, 1))
    curve = left - 2 * top + right
    bent = curve < 0
    shift = np.zeros(len(curve))
    shift[bent] = np.clip(0.5 * (left - right)[bent] / curve[bent], -0.5, 0.5)
    out[inner] = shift
    return out


def _beside(
    track: NDArray[np.float32], at: NDArray[np.intp], reach: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The values before and after each position, ``[n, reach]``, the nearest first; -inf beyond the ends."""
    steps = np.arange(1, reach + 1)
    sides = []
    for index in (at[:, None] - steps, at[:, None] + steps):
        outside = (index < 0) | (index >= len(track))
        values = track[np.where(outside, 0, index)]
        values[outside] = -np.inf
        sides.append(values)
    return sides[0], sides[1]
