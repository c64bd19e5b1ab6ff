"""A spectrogram as a picture of a given size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf._kernels import spectrogram as kernels


def resize(
    values: NDArray[Any], n_frames: int, n_rows: int, antialias: bool = False, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Bilinear resize with half-pixel centres, as tf.image.resize.

    Parameters
    ----------
    values
        float [frames, rows], both at least 1.
    n_frames, n_rows
        The new size.
    antialias
        When shrinking, average over all that falls into a new pixel (a triangle filter); otherwise only the nearest
        two are used.
    out
        float32 [n_frames, n_rows] to write into.

    Returns
    -------
    float32 [n_frames, n_rows]

    Raises
    ------
    ValueError
        A size is 0, or ``values`` is not a spectrogram.
    """
    values = np.ascontiguousarray(values, np.float32)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"values of shape {values.shape}: expected [frames, rows], both at least 1")
    if n_frames < 1 or n_rows < 1:
        raise ValueError(f"size {n_frames} x {n_rows}: both must be at least 1")
    if out is None:
        out = np.empty((n_frames, n_rows), np.float32)
    elif out.shape != (n_frames, n_rows) or out.dtype != np.float32:
        raise ValueError(f"out is {out.dtype} {out.shape}: expected float32 {(n_frames, n_rows)}")
    kernels.resize(
        values, *_taps(values.shape[0], n_frames, antialias), *_taps(values.shape[1], n_rows, antialias), out
    )
    return out


@lru_cache(maxsize=64)
def _taps(n_from: int, n_to: int, antialias: bool) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The first input of each output, int32 [n_to], and the weights from there on, float32 [n_to, taps]."""
    scale = n_from / n_to
    reach = max(scale, 1.0) if antialias else 1.0
    middle = (np.arange(n_to) + 0.5) * scale
    n_taps = min(n_from, int(np.ceil(2 * reach)) + 1)
    first = np.clip(np.ceil(middle - reach - 0.5), 0, n_from - n_taps).astype(np.int32)
    weights = np.maximum(0, 1 - np.abs(first[:, None] + np.arange(n_taps) + 0.5 - middle[:, None]) / reach)
    used = np.flatnonzero(weights.any(axis=0))[-1] + 1  # the same for all: often one less than could be needed
    weights = weights[:, :used] / weights[:, :used].sum(axis=1, keepdims=True)
    return first, np.ascontiguousarray(weights, np.float32)
