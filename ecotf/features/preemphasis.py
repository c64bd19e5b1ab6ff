"""Pre-emphasis: every sample without a part of the one before it, as is usual before the spectrogram of speech."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class PreEmphasis:
    """x[i + 1] - part * x[i] of a recording that comes in pieces; the same bits however it is cut.

    Parameters
    ----------
    part
        0 changes nothing.
    """

    def __init__(self, part: float) -> None:
        self._part = np.float32(-part)
        self._last: NDArray[np.float32] = np.empty(0, np.float32)

    def push(self, sound: NDArray[Any]) -> NDArray[Any]:
        """Take float32 or int16 sound ``[n]``; return float32, one sample less in all than has come."""
        if not self._part:
            return sound
        if sound.dtype == np.int16:
            sound = sound.astype(np.float32) / np.float32(32768)
        if not len(sound):
            return sound
        joined = np.concatenate([self._last, sound]) if len(self._last) else sound
        self._last = joined[-1:].copy()
        out = joined[:-1] * self._part
        out += joined[1:]
        return out
