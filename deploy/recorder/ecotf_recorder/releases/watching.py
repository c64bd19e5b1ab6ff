"""Checks that the recorder works with a release: its own report, and the state of its service.

Only the monotonic clock is used. A recorder's own clock may say 1970 before the network or the GPS has told it better.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecotf_recorder.releases.bundle import ReleaseError
from ecotf_recorder.releases.processes import run_quietly
from ecotf_recorder.releases.settings import ReleaseSettings

WELL = ("listening", "idle")
_MOST_STOPS = 2  # a service that ended twice within the window will go on ending
_SAY_EVERY_S = 5.0
_MOST_BYTES = 1 << 16

_Stamp = tuple[int, int, int]


class HealthWatch:
    """Watches the recorder from a restart on; what ``health.json`` said before it is not believed."""

    def __init__(self, settings: ReleaseSettings) -> None:
        self.settings = settings
        self._path = settings.health
        self._seen = _stamp(self._path)
        self._began = self._changed = time.monotonic()
        self._well_since: float | None = None
        self._pid: Any = None
        self._trouble = "it has said nothing since its start"

    def wait(self, release_id: str, say: Callable[[str], None]) -> None:
        """Return when the recorder has been well with ``release_id`` for the whole window.

        Raises
        ------
        ReleaseError
            It was not; the reason with what the recorder said of itself.
        """
        service = _Service(self.settings)
        said = self._began
        while True:
            moment = time.monotonic()
            service.look(moment)
            news = self._news()
            if news is not None:
                self._take(news, release_id, moment)
            self._check_times(moment)
            well_for = 0.0 if self._well_since is None else moment - self._well_since
            if self._well_since is not None and well_for >= self.settings.hold_s and service.up:
                return
            if moment - said > _SAY_EVERY_S:
                said = moment
                well = f"well for {well_for:.0f} of {self.settings.hold_s:g} s"
                say(self._trouble if self._well_since is None else well)
            time.sleep(self.settings.poll_s)

    def _news(self) -> dict[str, Any] | None:
        """Read the report if it is new, else return None."""
        stamp = _stamp(self._path)
        if stamp is None or stamp == self._seen:
            return None
        self._seen = stamp
        return read_health(self._path)

    def _take(self, news: dict[str, Any], release_id: str, moment: float) -> None:
        self._changed = moment
        self._trouble = _describe(news, release_id)
        well = runs_release(news, release_id)
        if self._well_since is None:
            if well:
                self._well_since, self._pid = moment, news.get("pid")
        elif not well:
            raise ReleaseError(f"the recorder was well for {moment - self._well_since:.0f} s, then: {self._trouble}")
        elif news.get("pid") != self._pid:
            raise ReleaseError(f"the recorder ended and started anew after {moment - self._well_since:.0f} s")

    def _check_times(self, moment: float) -> None:
        settings = self.settings
        if self._well_since is None and moment - self._began > settings.start_s:
            raise ReleaseError(f"the recorder did not begin to listen within {settings.start_s:g} s: {self._trouble}")
        if self._well_since is not None and moment - self._changed > settings.stale_s:
            raise ReleaseError(f"the recorder fell silent: no word for {settings.stale_s:g} s")


class _Service:
    """Asks the service manager whether the service is up, and counts how often it went down."""

    def __init__(self, settings: ReleaseSettings) -> None:
        self.settings = settings
        self.up = True
        self._stops = 0
        self._asked = self._was_up = time.monotonic()

    def look(self, moment: float) -> None:
        if moment - self._asked < 2 * self.settings.poll_s:
            return
        self._asked = moment
        was, self.up = self.up, run_quietly(self.settings.active) is None
        if self.up:
            self._was_up = moment
        self._stops += was and not self.up
        if self._stops >= _MOST_STOPS or moment - self._was_up > self.settings.stale_s:
            raise ReleaseError("the recorder's service does not stay up")


def runs_release(health: dict[str, Any], release_id: str) -> bool:
    """Check that the recorder reports that it runs ``release_id``; a dead microphone is no fault of a release."""
    return health.get("state") in WELL and health.get("release") == release_id and not health.get("stopped")


def is_well(health: dict[str, Any], release_id: str) -> bool:
    """Check that it runs ``release_id`` and has no problem."""
    return runs_release(health, release_id) and not health.get("error")


def read_health(path: Path) -> dict[str, Any] | None:
    """Read the last report of the recorder, or return None.

    Its folder is not root's: a link there is not followed, a pipe not waited for, and an endless file not read.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return None
            health = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return health if isinstance(health, dict) else None


def _describe(health: dict[str, Any], release_id: str) -> str:
    if health.get("release") != release_id:
        return f"it runs {health.get('release') or 'no release'}"
    error = health.get("error") or ("it was stopped" if health.get("stopped") else "")
    return f"state {health.get('state')}" + (f": {error}" if error else "")


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
