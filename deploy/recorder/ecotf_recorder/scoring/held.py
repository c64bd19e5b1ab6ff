"""Detections of a stretch of sound that may turn out to be silent; the recorder's own of `ecotf.detection.held`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Detection(NamedTuple):
    """One call: real seconds from the beginning of its stretch of sound, hertz, and how sure the model is.

    ``score`` is that of the label, ``detection_score`` that there is a call or another event at all.
    """

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    label: str
    score: float
    detection_score: float


class HeldDetections:
    """Counts the samples of a stretch, and keeps its detections back as long as all samples are the same.

    Attributes
    ----------
    samples
        How many have come.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._lowest, self._highest = np.inf, -np.inf
        self._waiting: list[Detection] = []

    @property
    def silent(self) -> bool:
        """Whether all samples so far are the same."""
        return not self._lowest < self._highest

    @property
    def are_waiting(self) -> bool:
        """Whether detections are kept back."""
        return bool(self._waiting)

    def hear(self, sound: NDArray[Any]) -> None:
        """Take more sound, ``[n]``."""
        if len(sound):
            self._lowest = min(self._lowest, float(sound.min()))
            self._highest = max(self._highest, float(sound.max()))
            self.samples += len(sound)

    def release(self, found: list[Detection]) -> list[Detection]:
        """Take detections; return all that may go out, in order of time."""
        self._waiting += found
        if self.silent:
            return []
        going, self._waiting = self._waiting, []
        return sorted(going, key=lambda one: (one.start_s, one.label))
