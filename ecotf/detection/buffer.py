"""The stretch of a spectrogram that candidates are searched in, growing at its end and forgetting its beginning."""

from __future__ import annotations

import numpy as np

from ecotf.features.gated import Stretch


class SliceBuffer:
    """Consecutive slices. Each is copied once when it comes; room is taken anew only where it does not suffice.

    Attributes
    ----------
    first, end
        Numbers of the first slice that is kept and of the one that comes next, counted from the recording's start.
    """

    def __init__(self, n_rows: int) -> None:
        self.first = self.end = 0
        self._room = np.empty((0, n_rows), np.float32)
        self._reaches = np.empty(0, bool)
        self._at = 0  # where in the room the first slice is
        self._gated = False

    @property
    def values(self) -> np.ndarray:
        """float32 ``[slices, rows]``; good until the next change."""
        return self._room[self._at : self._at + self.end - self.first]

    @property
    def reaches(self) -> np.ndarray | None:
        """bool ``[slices]``: which reach the gate; None without a gate."""
        return self._reaches[self._at : self._at + self.end - self.first] if self._gated else None

    def add(self, stretch: Stretch) -> None:
        """Put the next slices at the end."""
        if stretch.first != self.end:
            raise ValueError(f"slice {stretch.first} came where {self.end} was due")
        kept, more = self.end - self.first, len(stretch.values)
        if self._at + kept + more > len(self._room):
            self._move(kept, more)
        at = self._at + kept
        self._room[at : at + more] = stretch.values
        self._gated = stretch.reaches is not None
        self._reaches[at : at + more] = True if stretch.reaches is None else stretch.reaches
        self.end += more

    def forget(self, until: int) -> None:
        """Drop what comes before slice ``until``."""
        dropped = max(0, min(until, self.end) - self.first)
        self._at += dropped
        self.first += dropped

    def restart(self, first: int) -> None:
        """Drop everything; slice ``first`` comes next."""
        self.first = self.end = first
        self._at = 0

    def _move(self, kept: int, more: int) -> None:
        """Bring what is kept to the beginning, in room that is as large again as needed where it was too small."""
        values, reaches = self.values, self._reaches[self._at : self._at + kept]
        if kept + more > len(self._room):
            self._room = np.empty((2 * (kept + more), self._room.shape[1]), np.float32)
            self._reaches = np.empty(len(self._room), bool)
        self._room[:kept] = values
        self._reaches[:kept] = reaches
        self._at = 0
