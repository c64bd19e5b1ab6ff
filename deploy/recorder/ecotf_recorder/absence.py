"""Sound that was lost because the recorder did not run: found at its next start, from what it wrote before."""

from __future__ import annotations

from typing import NamedTuple

from ecotf_recorder.store.database import Database
from ecotf_recorder.times.clock import Clock
from ecotf_recorder.times.schedule import ListeningTimes

STOPPED = "stopped"
_LAST = (
    "SELECT began, steady, boot, COALESCE(seconds, 0), ended FROM stretches WHERE steady IS NOT NULL "
    "ORDER BY id DESC LIMIT 1"
)

_NOTED = "SELECT MAX(steady + seconds) FROM gaps WHERE boot = ? AND steady >= ?"
_NEAR_S = 0.01


class Absence(NamedTuple):
    """Since when it did not listen, by the steady clock of this boot, and until when if the schedule ended it.

    ``steady`` is None where it is not known, in another boot while the clock is not set; ``wall`` is when that was.
    """

    steady: float | None
    until: float | None
    reason: str
    wall: float | None

    def dated(self, clock: Clock, times: ListeningTimes) -> Absence:
        """The same once the clock is set."""
        if self.wall is None or not clock.is_set:
            return self
        until = times.next_change(self.wall)
        return self._replace(steady=self.wall - clock.offset, until=None if until is None else until - clock.offset)


def find_absence(database: Database, clock: Clock, times: ListeningTimes) -> Absence | None:
    """Find out if the process before this one ended while it listened to live sound.

    Until the end of the window of the schedule it would have listened on; windows that it missed as a whole are not
    counted.
    """
    row = database.execute(_LAST).fetchone()
    if row is None:
        return None
    began, steady, boot, seconds, ended = row
    if ended == "":  # the schedule ended it
        return None
    reason = "the recorder was stopped" if ended == STOPPED else "the recorder was killed, or lost its power"
    end = steady + seconds
    noted = database.execute(_NOTED, (boot, end - _NEAR_S)).fetchone()[0]  # a microphone that was away until a stop
    end = max(end, noted or end)
    if boot != clock.boot:
        wall = None if began is None else began - steady + end
        return Absence(None, None, reason, wall).dated(clock, times)
    return Absence(end, None, reason, clock.at(end)).dated(clock, times)
