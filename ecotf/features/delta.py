"""How fast the rows of a spectrogram change: delta and delta-delta features."""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf._kernels import spectrogram as kernels
from ecotf.features.frames import checked_frames


def delta(values: NDArray[Any], width: int = 9, order: int = 1) -> NDArray[np.float32]:
    """Return the local derivative of every row (Savitzky-Golay, as in librosa.feature.delta).

    A polynomial of degree ``order`` is fitted to ``width`` frames around each frame; the first and the last frames
    share the fit of the nearest frame that has all its neighbours.

    Parameters
    ----------
    values
        [n_frames, n_rows].
    width
        Odd number of frames, at least 3 and more than ``order``.
    order
        1 for delta, 2 for delta-delta.

    Returns
    -------
    float32 [n_frames, n_rows]
        Change per frame (to the power of ``order``).

    Raises
    ------
    ValueError
        ``width`` is even, too small for ``order`` or longer than the spectrogram; a value is not finite.
    """
    values = checked_frames(values)
    if width < 3 or width % 2 == 0 or order < 1 or order >= width:
        raise ValueError(f"width = {width}, order = {order}: width must be odd, at least 3 and more than order")
    if len(values) < width:
        raise ValueError(f"{len(values)} frames: a delta over {width} frames needs at least as many")
    offsets = np.arange(width) - width // 2
    weights = factorial(order) * np.linalg.pinv(np.vander(offsets, order + 1, increasing=True))[order]
    out = np.empty_like(values)
    kernels.weighted_sums(values, weights.astype(np.float32), out)
    return out
