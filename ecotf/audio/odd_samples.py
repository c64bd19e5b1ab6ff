"""Whether samples are sound at all: what goes wrong when clips are packed as 16-bit integers."""

from __future__ import annotations

import numpy as np

MOST = 2.0
"""A floating-point recording that reaches beyond this is not on the scale from -1 to 1; a lossy file may pass 1."""


def to_int16(sound: np.ndarray) -> np.ndarray:
    """Convert sound from -1 to 1 to int16 as published: clipped, times 32767.

    Examples
    --------
    >>> to_int16(np.array([0.5, -1.0, 1.2], np.float32))
    array([ 16383, -32767,  32767], dtype=int16)
    """
    return (np.clip(sound, -1, 1) * 32767).astype(np.int16)


def why_not_on_scale(sound: np.ndarray) -> str:
    """Say why floating-point sound is not on the scale from -1 to 1, in one sentence; empty where it is."""
    peak = float(np.abs(sound).max(initial=0.0))
    if peak <= MOST:
        return ""
    return (
        f"its samples reach {peak:.6g}; floating-point sound must lie within -1 and 1 (was it written from integers?)"
    )


def why_not_sound(samples: np.ndarray) -> str:
    """Say why 16-bit samples are not sound, in one sentence; empty where they are.

    Parameters
    ----------
    samples
        int16 ``[n]``.

    Examples
    --------
    >>> why_not_sound(np.zeros(8, np.int16))
    'holds no sound: all samples are 0'
    >>> import numpy
    >>> floats = numpy.sin(numpy.arange(4000, dtype=numpy.float32))
    >>> why_not_sound(floats.view(numpy.int16))
    'holds the bits of 32-bit floats taken as 16-bit integers; pack it again from the sound files'
    """
    if not len(samples) or not samples.any():
        return "holds no sound: all samples are 0"
    if np.abs(samples, dtype=np.int32).max() <= 1:
        return "holds floats cut off to whole numbers (no sample is beyond 1); pack it again from the sound files"
    return "holds the bits of 32-bit floats taken as 16-bit integers; pack it again from the sound files" * (
        _are_floats(samples) or _are_floats(samples[1:])
    )


def _are_floats(samples: np.ndarray) -> bool:
    """Whether pairs of samples read as 32-bit floats are audio; those of true 16-bit sound are NaN or beyond reason."""
    floats = np.ascontiguousarray(samples[: len(samples) // 2 * 2], np.int16).view(np.float32)
    floats = floats[floats != 0]
    if len(floats) < 100:
        return False
    with np.errstate(invalid="ignore"):
        size = np.abs(floats)
        return bool(np.mean((size > 1e-12) & (size <= MOST)) > 0.99)
