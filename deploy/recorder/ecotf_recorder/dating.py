"""What was heard before the clock was set gets its time: a moment's work at each turn of the recorder's loop."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress

from ecotf_recorder.store.clips import ClipKeeper
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.redating import Dating
from ecotf_recorder.times.clock import steady

_log = logging.getLogger(__name__)
_WORK_S = 0.05  # at a time; sound that comes meanwhile waits in the buffer no longer than that


class Dater:
    """Begins when it is asked to, and goes on until everything has its time.

    Attributes
    ----------
    problem
        Why something has no time yet; empty if all is well.
    """

    def __init__(self, notebook: Notebook, clips: ClipKeeper | None) -> None:
        self._notebook, self._clips = notebook, clips
        self._is_due = True  # for what the process before this one left
        self._work: Dating | None = None
        self.problem = ""

    @property
    def is_at_work(self) -> bool:
        """Whether there is something left to do."""
        return self._work is not None

    def ask(self) -> None:
        """The clock has been set."""
        self._is_due = True

    def begin(self) -> None:
        """Begin if it is due; nothing may be half-way between memory and disk, so everything is committed first."""
        if self._is_due and self._work is None and self._notebook.commit():
            self._is_due = False
            if self._notebook.needs_dating:
                self._work = self._notebook.dating(None if self._clips is None else self._clips.date)

    def work(self) -> None:
        """Do some of it."""
        until = steady() + _WORK_S
        while self._work is not None and steady() < until:
            try:
                next(self._work)
            except StopIteration:
                self._work, self.problem = None, ""
                _log.info("what was heard before the clock was set has its time")
            except (OSError, ValueError, sqlite3.Error) as error:
                self.problem = f"what was heard before the clock was set has no time yet ({error})"
                _log.error("%s; tried again at the next start", self.problem)
                self.end()

    def end(self) -> None:
        """Stop in the middle; the next start goes on."""
        if self._work is not None:
            self._work.close()
            self._work = None
            with suppress(sqlite3.Error):
                self._notebook.database.rollback()
