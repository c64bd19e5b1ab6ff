"""Detections of a channel that may turn out to be silent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecotf.detection.view import in_order


class HeldDetections:
    """Counts the samples of a channel, and keeps its detections back as long as all samples are the same.

    Parameters
    ----------
    first
        The number of the first sample that comes.
    hold
        False where others know whether the whole channel is silent: nothing is kept back.

    Attributes
    ----------
    samples
        How many have come, with those before the first.
    """

    def __init__(self, first: int = 0, hold: bool = True) -> None:
        self.samples, self._hold = first, hold
        self._lowest, self._highest = np.inf, -np.inf
        self._waiting: list[pd.DataFrame] = []

    @property
    def silent(self) -> bool:
        """Whether all samples so far are the same."""
        return not self._lowest < self._highest

    @property
    def are_waiting(self) -> bool:
        """Whether detections are kept back."""
        return bool(self._waiting)

    def hear(self, sound: np.ndarray) -> None:
        """Take more sound, ``[n]``."""
        if len(sound):
            self._lowest = min(self._lowest, float(sound.min()))
            self._highest = max(self._highest, float(sound.max()))
            self.samples += len(sound)

    def release(self, tables: list[pd.DataFrame]) -> pd.DataFrame:
        """Take detections; return all that may go out, in order of time."""
        self._waiting += [table for table in tables if len(table)]
        if self.silent and self._hold:
            return in_order([])
        going, self._waiting = self._waiting, []
        return in_order(going)
