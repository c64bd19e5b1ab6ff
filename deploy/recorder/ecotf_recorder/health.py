"""``health.json``: how the recorder is doing, for people, for the release manager and for the watchdog."""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path
from typing import Any

from ecotf_recorder.files import atomic_file
from ecotf_recorder.page.writing import StatusPage
from ecotf_recorder.times.clock import Clock, iso_time

_log = logging.getLogger(__name__)


class Health:
    """Writes the file, atomically, and shows the page what is in it.

    Parameters
    ----------
    page
        None for no page.
    """

    def __init__(self, path: Path, page: StatusPage | None = None) -> None:
        self.path, self._page = path, page
        self._failed = False

    def write(self, facts: dict[str, Any]) -> None:
        """Write facts; a full disk is no reason to stop."""
        try:
            with atomic_file(self.path) as partial:
                partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.error("%s cannot be written (%s)", self.path, error.strerror)
            self._failed = True
        if self._page is not None:
            self._page.follow(facts)


def resident_mb() -> float:
    """Resident memory of this process."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0


def temperature_c() -> float | None:
    """Return the processor's temperature, if the board gives it."""
    try:
        return int(Path("/sys/class/thermal/thermal_zone0/temp").read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None


def vital_signs(clock: Clock) -> dict[str, Any]:
    """Return the first fields of every health file."""
    wall = clock.at(clock.now())
    return {
        "time": iso_time(wall) if wall is not None else None,
        "steady_s": round(clock.now(), 3),
        "pid": os.getpid(),
        "rss_mb": round(resident_mb(), 1),
    }


class ServiceManager:
    """systemd's side of the service: told by datagrams to the socket that it names; nothing where there is none."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        watchdog_us = os.environ.get("WATCHDOG_USEC", "")
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.is_there = bool(self._address)
        self.watchdog_s = int(watchdog_us) / 1e6 if watchdog_us.isdecimal() and mine else 0.0

    def report(self, *lines: str) -> None:
        """Send ``READY=1``, ``WATCHDOG=1``, ``STATUS=...``, ``STOPPING=1``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as messages:
                messages.setblocking(False)
                messages.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            _log.debug("systemd does not listen (%s)", error)
