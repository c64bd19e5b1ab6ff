"""How far a job is: hours of sound done and left, how fast, until when, and what could not be used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from ecotf.inference.ledger import SETTLED
from ecotf.inference.outcome import Outcome


class Progress:
    """Counts the recordings of a job as they are finished.

    Parameters
    ----------
    files
        How many there are in all.
    clock
        Seconds; for tests.

    Examples
    --------
    >>> progress = Progress(3, clock=iter([0.0, 60.0]).__next__)
    >>> progress.take(Outcome("done", duration_s=3600.0))
    >>> progress.line()[:62]
    '1 of 3 files, 1.0 h of sound done, about 2.0 h left; 1.0 h a m'
    """

    def __init__(self, files: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._all, self._files, self._clock = files, files, clock
        self._began = clock()
        self.done = self.unusable = 0
        self._sound_s = 0.0

    def take(self, outcome: Outcome) -> None:
        """Count a recording that was finished now."""
        self.done += 1
        self.unusable += outcome.status not in SETTLED
        if math.isfinite(outcome.duration_s):
            self._sound_s += outcome.duration_s

    def pass_by(self, files: int) -> int:
        """Leave out so many recordings, which an earlier job has settled; return how many are left of all."""
        self._files = self._all - files
        return self._files

    def line(self) -> str:
        """Write one line; what is left is estimated from the mean length of what is done."""
        spent_s = max(1e-9, self._clock() - self._began)
        files = max(self._files, self.done)
        left_s = self._sound_s / self.done * (files - self.done) if self.done else 0.0
        pace = self._sound_s / spent_s  # seconds of sound in a second
        parts = [f"{self.done} of {files} files, {self._sound_s / 3600:.1f} h of sound done"]
        if self.done and pace:
            end = datetime.now() + timedelta(seconds=min(left_s / pace, 3e9))
            parts[0] += f", about {left_s / 3600:.1f} h left"
            parts.append(f"{pace / 60:.1f} h a minute, end about {end:%Y-%m-%d %H:%M}")
        if self.unusable:
            parts.append(f"{self.unusable} file{'s' * (self.unusable != 1)} could not be used")
        return "; ".join(parts)
