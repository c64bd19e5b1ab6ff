"""Pad a recording before and after, so that its first and last frames can be centred on its ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RecordingEdges:
    """Half a window of mirrored sound or of silence at either end of a recording that comes in pieces.

    Parameters
    ----------
    width
        Samples to add at each end; 0 adds nothing.
    padding
        ``reflect`` (d c b | a b c d | c b a, as in numpy.pad) or ``constant`` (zeros).
    """

    def __init__(self, width: int, padding: str) -> None:
        self._width = width
        self._reflect = padding == "reflect"
        self._kept: NDArray[Any] | None = None  # what the edges will be made of
        self._begun = False

    def push(self, sound: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the samples to transform after ``sound`` has come."""
        if not self._width or not len(sound):
            return [sound]
        if self._kept is not None:
            if self._kept.dtype != sound.dtype:
                raise ValueError(f"one recording cannot change from {self._kept.dtype} to {sound.dtype} samples")
            recent = np.concatenate([self._kept, sound[-self._width - 1 :]] if self._begun else [self._kept, sound])
        else:
            recent = sound
        pieces = [sound]
        if not self._begun:
            if self._reflect and len(recent) <= self._width:
                self._kept = recent.copy()
                return []
            before = recent[self._width : 0 : -1] if self._reflect else np.zeros(self._width, sound.dtype)
            pieces = [np.ascontiguousarray(before), recent]
            self._begun = True
        self._kept = recent[-self._width - 1 :].copy()
        return pieces

    def finish(self) -> list[NDArray[Any]]:
        """Return the samples that remain to be transformed when the recording ends."""
        kept, self._kept = self._kept, None
        if kept is None:
            return []
        if not self._begun:  # too short to be mirrored once: mirrored to and fro
            return [np.pad(kept, self._width, mode="reflect")]
        self._begun = False
        after = kept[-2 : -self._width - 2 : -1] if self._reflect else np.zeros(self._width, kept.dtype)
        return [np.ascontiguousarray(after)]
