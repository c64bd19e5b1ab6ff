"""Harmonic and percussive parts of a spectrogram."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf._kernels import spectrogram as kernels
from ecotf.features.frames import checked_frames


def harmonic_percussive(
    values: NDArray[Any], width: int = 31, sharpness: float = 2.0, margin: float | tuple[float, float] = 1.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Separate what lasts from what is short, by median filters (Fitzgerald, DAFX 2010; as librosa.decompose.hpss).

    Parameters
    ----------
    values
        [n_frames, n_rows], magnitudes or powers, at least 0.
    width
        Odd number of frames, and of rows, over which the medians are taken; ends reflect.
    sharpness
        Exponent of the soft mask.
    margin
        How many times the one must exceed the other, or the harmonic part the percussive one and the percussive the
        harmonic one; above 1 the two do not add up to the whole.

    Returns
    -------
    harmonic, percussive
        float32 [n_frames, n_rows].

    Raises
    ------
    ValueError
        ``width`` is even or not positive, ``sharpness`` or ``margin`` too small, a value negative or not finite.
    """
    values = checked_frames(values)
    if width < 1 or width % 2 == 0:
        raise ValueError(f"width = {width}: must be odd and positive")
    of_lasting, of_short = margin if isinstance(margin, tuple) else (margin, margin)
    if not (sharpness > 0 and min(of_lasting, of_short) >= 1):
        raise ValueError(f"sharpness = {sharpness}, margin = {margin}: must be above 0, and at least 1")
    if values.size and values.min() < 0:
        raise ValueError(f"a value is {values.min()}: magnitudes or powers are expected, at least 0")
    lasting, across = np.empty_like(values), np.empty(values.shape[::-1], np.float32)
    kernels.running_median(values, width, lasting)
    kernels.running_median(np.ascontiguousarray(values.T), width, across)
    short = np.ascontiguousarray(across.T)
    split = of_lasting == of_short == 1
    return (
        values * _soft_mask(lasting, short * np.float32(of_lasting), sharpness, split),
        values * _soft_mask(short, lasting * np.float32(of_short), sharpness, split),
    )


def _soft_mask(
    one: NDArray[np.float32], other: NDArray[np.float32], sharpness: float, split: bool
) -> NDArray[np.float32]:
    """one ** p / (one ** p + other ** p); where both are 0, a half if ``split``, else 0."""
    larger = np.maximum(one, other)
    nothing = larger < np.finfo(np.float32).tiny
    larger[nothing] = 1
    one_part, other_part = (one / larger) ** np.float32(sharpness), (other / larger) ** np.float32(sharpness)
    total = one_part + other_part
    total[nothing] = 1
    mask = one_part / total
    mask[nothing] = 0.5 if split else 0.0
    return np.asarray(mask, np.float32)
