"""Time as a recorder knows it: what has passed is counted by a clock that never jumps, names are given by the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

SET_AFTER = 1577836800.0
"""2020-01-01: a clock that is before it was never set."""

JUMP_S = 2.0
UNSET_PREFIX = "unset-clock-"


def steady() -> float:
    """Seconds since boot, also while suspended; never set back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Eight characters that are others after every boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        return "noboot"


class Clock:
    """The wall clock, by way of the steady one.

    Parameters
    ----------
    steady, wall
        Seconds since boot, and since 1970.
    """

    def __init__(
        self, steady: Callable[[], float] = steady, wall: Callable[[], float] = time.time, boot: str | None = None
    ) -> None:
        self.now, self._wall = steady, wall
        self.boot = boot_id() if boot is None else boot
        self._offset = wall() - steady()

    def check(self) -> float:
        """Look at the wall clock again; returns by how many seconds it has jumped, 0 for its ordinary drift."""
        offset = self._wall() - self.now()
        jumped, self._offset = offset - self._offset, offset
        return jumped if abs(jumped) > JUMP_S else 0.0

    @property
    def is_set(self) -> bool:
        """True if the wall clock is set."""
        return self.now() + self._offset >= SET_AFTER

    def at(self, steady: float) -> float | None:
        """The wall time of a steady time, seconds since 1970; None before the clock is set."""
        return steady + self._offset if self.is_set else None

    def name(self, steady: float) -> str:
        """Return a name in UTC for a sound that began at a steady time."""
        when = self.at(steady)
        return f"{UNSET_PREFIX}{self.boot}-{steady:.3f}" if when is None else file_time(when)


def file_time(when: float) -> str:
    """``20260621T201500.250Z``."""
    return datetime.fromtimestamp(round(when, 3), UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def iso_time(when: float) -> str:
    """``2026-06-21T20:15:00.250+00:00``."""
    return datetime.fromtimestamp(round(when, 3), UTC).isoformat(timespec="milliseconds")
