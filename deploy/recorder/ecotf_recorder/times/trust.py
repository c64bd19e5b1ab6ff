"""How far the wall clock can be trusted: a date that systemd, a file or a person put there may be any date."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

SYNCHRONISED, CHIP, STATED = "synchronised", "clock chip", "stated"
REDATED, RECORDING = "redated", "recording"
NOT_SET, NOT_KNOWN = "not set", "not known"

SET_AFTER = 1577836800.0
"""2020-01-01: a clock or a clock chip that is before it was never set."""

_MARKER = Path("/run/systemd/timesync/synchronized")  # of systemd-timesyncd, once in every boot
_CHIPS = Path("/sys/class/rtc")
_CHIP_AGREES_S = 60.0
_UNSYNCHRONISED = 5  # adjtimex's TIME_ERROR
_TIMEX_BYTES = 512  # more than a struct timex has on any machine


def time_quality(wall: float) -> str:
    """Say why the wall clock is right: the network, GPS or a clock chip; empty if nothing vouches for it.

    A board without a clock chip starts with the date of its system or of its last use, which looks right and is not.
    """
    if _MARKER.exists() or _kernel_is_synchronised():
        return SYNCHRONISED
    return CHIP if any(abs(chip - wall) < _CHIP_AGREES_S for chip in _chips()) else ""


def stated_quality(wall: float) -> str:
    """The same where the owner says that the clock is right (``clock.trusted``)."""
    return time_quality(wall) or (STATED if wall >= SET_AFTER else "")


def _kernel_is_synchronised() -> bool:
    """Ask the kernel, which chrony, ntpd and gpsd tell; only reads."""
    try:
        adjtimex: Callable[..., int] = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False
    return 0 <= adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) < _UNSYNCHRONISED


def _chips() -> list[float]:
    """The times of all clock chips; one whose battery is empty cannot be read, or is far in the past."""
    found = []
    for path in sorted(_CHIPS.glob("rtc*/since_epoch")):
        try:
            found.append(float(path.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return [chip for chip in found if chip >= SET_AFTER]
