"""When to listen: windows between two moments of a day, given by the clock or by the sun, and a duty cycle within."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from ecotf_recorder.times.sun import CIVIL_DEG, SUNRISE_DEG, sun_times

_SUN = {"dawn": (0, CIVIL_DEG), "sunrise": (0, SUNRISE_DEG), "sunset": (1, SUNRISE_DEG), "dusk": (1, CIVIL_DEG)}
_ORDER = tuple(_SUN)
_MOMENT = re.compile(rf"(?:(?P<sun>{'|'.join(_SUN)})(?:(?P<sign>[+-])(?P<after>\d\d?:\d\d))?|(?P<clock>\d\d?:\d\d))\Z")
_FAR = 14 * 86400.0


class Moment(NamedTuple):
    """A moment of a day: of the sun, with an offset, or of the clock (local time)."""

    sun: str
    offset: timedelta


def parse_window(text: str) -> tuple[Moment, Moment]:
    """``"sunset-00:30 to sunrise+00:30"``, or ``"20:00 to 06:00"``; a `ValueError` says what is wrong."""
    parts = [part.strip() for part in text.split(" to ")]
    if len(parts) != 2:
        raise ValueError("two moments are needed, such as 'sunset-00:30 to sunrise+00:30' or '20:00 to 06:00'")
    return _moment(parts[0]), _moment(parts[1])


def check_moment(text: str, site_is_known: bool) -> list[str]:
    """Error in a window of the config."""
    try:
        window = parse_window(text)
    except ValueError as error:
        return [f"schedule.windows: {text!r}: {error}"]
    if not site_is_known and any(moment.sun for moment in window):
        return [f"schedule.windows: {text!r} goes by the sun; set site.latitude and site.longitude"]
    return []


class ListeningTimes:
    """Says at any time whether to listen.

    Parameters
    ----------
    windows
        Texts as `parse_window` takes them; none stands for always.
    latitude, longitude
        Of the site.
    record_s, every_s
        The first ``record_s`` seconds of every ``every_s``, counted from midnight UTC; 0 for all the time.
    """

    def __init__(
        self, windows: Sequence[str], latitude: float, longitude: float, record_s: float = 0, every_s: float = 0
    ) -> None:
        self._windows = [parse_window(text) for text in windows]
        self._place = latitude, longitude
        self._record_s, self._every_s = record_s, every_s

    def listens(self, when: float) -> bool:
        """Decide if the recorder listens at a wall time, in seconds since 1970."""
        if self._every_s and when % self._every_s >= self._record_s:
            return False
        return not self._windows or any(start <= when < end for start, end in self._spans(when))

    def listens_without_clock(self, steady: float) -> bool:
        """The same where only the time since boot is known: the duty cycle alone."""
        return not self._every_s or steady % self._every_s < self._record_s

    def next_change(self, when: float) -> float | None:
        """The next time at which `listens` changes; None where it does not within two weeks."""
        now = self.listens(when)
        edges: set[float] = set()
        if self._every_s:
            base = when - when % self._every_s
            edges |= {base + self._record_s, base + self._every_s, base + self._every_s + self._record_s}
        day = 0.0
        while day <= _FAR:
            edges |= {edge for span in self._spans(when + day) for edge in span}
            for edge in sorted(edges):
                if edge > when and self.listens(edge) != now:
                    return edge
            if not self._windows:
                return None
            if self._every_s:  # within the window that comes, the duty cycle decides
                edges |= {edge - edge % self._every_s + self._every_s for edge in edges}
            day += 86400.0
        return None

    def _spans(self, when: float) -> list[tuple[float, float]]:
        """The windows of the days around a time."""
        today = datetime.fromtimestamp(when).date()
        days = [today + timedelta(days=n) for n in (-2, -1, 0, 1)]
        return [span for day in days for window in self._windows if (span := self._span(day, *window))]

    def _span(self, day: date, first: Moment, last: Moment) -> tuple[float, float] | None:
        start = self._time(day, first)
        if first.sun and last.sun:
            # By their order in a day, since at the poles both may be at one time.
            later = _ORDER.index(last.sun) > _ORDER.index(first.sun)
            end = self._time(day if later else day + timedelta(days=1), last)
        else:
            end = self._time(day, last)
            end = end if end > start else self._time(day + timedelta(days=1), last)
        return (start, end) if end > start else None

    def _time(self, day: date, moment: Moment) -> float:
        if not moment.sun:
            midnight = datetime(day.year, day.month, day.day)
            return (midnight + moment.offset).timestamp()  # in the zone that the board is set to
        side, zenith = _SUN[moment.sun]
        return (sun_times(day, *self._place, zenith)[side] + moment.offset).timestamp()


def _moment(text: str) -> Moment:
    found = _MOMENT.match(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no moment; allowed: a time such as 21:30, or {', '.join(_SUN)} with +hh:mm or -hh:mm"
        )
    if found["clock"]:
        return Moment("", _span_of(found["clock"], text))
    offset = _span_of(found["after"], text) if found["after"] else timedelta()
    return Moment(found["sun"], -offset if found["sign"] == "-" else offset)


def _span_of(clock: str, text: str) -> timedelta:
    hours, minutes = map(int, clock.split(":"))
    if hours > 23 or minutes > 59:
        raise ValueError(f"{text!r} is no moment: hours are 0 to 23, minutes 0 to 59")
    return timedelta(hours=hours, minutes=minutes)
