"""One block of a spectrogram: take the usual level of every row away, then smooth along frames and rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DENOISE = ("none", "mean", "median", "published")


def finish_block(
    levels: NDArray[np.float32], denoise: str, mask_level: float, taps: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Denoise and smooth a block.

    Parameters
    ----------
    levels
        float32 ``[frames, rows]``; is changed.
    denoise
        What each row loses: nothing (``none``), its ``mean``, its ``median``, or, ``published``, its mean over frames
        whose mean level is above ``mask_level`` and over the others, separately. What is left is never below 0.
    taps
        The right half of the smoothing kernel, its middle first; one tap leaves all as it is.

    Returns
    -------
    float32 ``[frames, rows]``
    """
    if not len(levels):
        return levels
    if denoise == "published":
        loud = levels.mean(axis=1) > mask_level
        usual = np.stack([_mean(levels[~loud]), _mean(levels[loud])])
        levels -= usual[loud.astype(np.intp)]
    elif denoise == "mean":
        levels -= _mean(levels)
    elif denoise == "median":
        levels -= _median(levels)
    if denoise != "none":
        np.maximum(levels, 0, out=levels)
    return _smoothed(_smoothed(levels, taps, 0), taps, 1) if len(taps) > 1 else levels


def _mean(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    # Sum first, in float32 and in order: as the desktop's kernel does.
    total = np.add.reduce(levels, axis=0, dtype=np.float32)
    return np.asarray(total * np.float32(1 / max(len(levels), 1)), np.float32)


def _median(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of an even number of frames: the mean of the middle two."""
    n = len(levels)
    columns = levels.T.copy()
    columns.partition((n - 1) // 2 if n % 2 else (n // 2 - 1, n // 2), axis=1)
    middle = columns[:, (n - 1) // 2]
    return middle if n % 2 else (middle + columns[:, n // 2]) * np.float32(0.5)


def _smoothed(values: NDArray[np.float32], taps: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The kernel along one axis; the ends reflect (d c b a | a b c d | d c b a)."""
    radius, n = len(taps) - 1, values.shape[axis]
    index = reflected(np.arange(-radius, n + radius), n)
    padded = values.take(index, axis=axis)

    def part(offset: int) -> NDArray[np.float32]:
        at = slice(radius + offset, radius + offset + n)
        return padded[at] if axis == 0 else padded[:, at]

    out = taps[0] * part(0)
    room = np.empty_like(out)
    for i in range(1, radius + 1):
        np.add(part(-i), part(i), out=room)
        room *= taps[i]
        out += room
    return np.asarray(out, np.float32)


def reflected(index: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Map an index beyond the ends to ``0 ... n - 1``, with reflection at the ends."""
    turned = index % (2 * n)
    return np.where(turned < n, turned, 2 * n - 1 - turned)
