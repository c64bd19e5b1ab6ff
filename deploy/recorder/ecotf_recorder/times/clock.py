"""Time as a recorder knows it: what has passed is counted by a clock that never jumps, names are given by the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from ecotf_recorder.times.trust import NOT_SET, SYNCHRONISED, time_quality

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
    quality
        Says why a wall time is right; empty if nothing vouches for it. What once was right in a boot stays so.

    Attributes
    ----------
    quality
        The best answer so far; empty while the clock is not set.
    offset
        Wall time less steady time.
    """

    def __init__(
        self, steady: Callable[[], float] = steady, wall: Callable[[], float] = time.time, boot: str | None = None,
        quality: Callable[[float], str] = time_quality,
    ) -> None:  # fmt: skip
        self.now, self._wall, self._ask = steady, wall, quality
        self.boot = boot_id() if boot is None else boot
        self.quality, self.offset = "", 0.0
        self.check()

    def check(self) -> float:
        """Look at the wall clock again; returns by how many seconds it has jumped, 0 for its ordinary drift."""
        if self.quality != SYNCHRONISED:  # asked before the time is read: the clock is set first, then vouched for
            self.quality = self._ask(self._wall()) or self.quality
        offset = self._wall() - self.now()
        jumped, self.offset = offset - self.offset, offset
        return jumped if abs(jumped) > JUMP_S else 0.0

    def believe(self, quality: str) -> None:
        """The clock was right earlier in this boot, as an earlier process noted."""
        self.quality = self.quality or quality

    @property
    def is_set(self) -> bool:
        """True if the wall clock is right."""
        return bool(self.quality)

    @property
    def said(self) -> str:
        """The quality, for people."""
        return self.quality or NOT_SET

    def at(self, steady: float) -> float | None:
        """The wall time of a steady time, seconds since 1970; None before the clock is set."""
        return steady + self.offset if self.is_set else None

    def name(self, steady: float) -> str:
        """Return a name in UTC for a sound that began at a steady time."""
        when = self.at(steady)
        return f"{UNSET_PREFIX}{self.boot}-{steady:.3f}" if when is None else file_time(when)


def file_time(when: float) -> str:
    """``20260621T201500.250Z``."""
    return datetime.fromtimestamp(round(when, 3), UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def iso_time(when: float) -> str:
    """``2026-06-21T20:15:00.250+00:00``."""
    second, thousandths = divmod(round(round(when, 3) * 1000), 1000)
    return f"{_second(second)}.{thousandths:03d}+00:00"


@lru_cache(1)  # rows of a table come in order, many in a second
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
