"""Find when a recording began: from GUANO, WAMD, the comment of an AudioMoth, or the name of the file; and by whom.

A time of day without its zone is kept as such, and said; it becomes a moment only when the zone is stated. The file's
own date (of copying, as a rule) is never used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

from ecotf_recorder.errors import ConfigError

_STAMP = re.compile(
    r"(\d{4})([-/.:])(\d{1,2})\2(\d{1,2})[T _]+(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r" *(Z|UTC|GMT|(?:UTC|GMT)? ?[+-]\d{1,2}(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
_AUDIOMOTH = re.compile(
    r"Recorded at (\d\d):(\d\d):(\d\d)(?:\.(\d+))? (\d\d)/(\d\d)/(\d{4})(?: \((UTC(?:[+-]\d+(?::\d\d)?)?)\))?"
)
_AUDIOMOTH_ID = re.compile(r"\bby AudioMoth ([0-9A-F]{16})\b")
_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)[T_ .-]{0,3}(\d\d)([-_.:h]?)(\d\d)(?:\6|m)(\d\d)"
    r"(?:s(?![a-z]))?(?:[.,](\d{1,6}))?(?!\d)(Z(?![a-z])|[+-]\d\d[:_.]?\d\d(?!\d)|\+\d\d(?!\d))?",
    re.IGNORECASE | re.ASCII,
)
_ZONE = re.compile(r"(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?", re.ASCII)
_HEXADECIMAL = re.compile(r"(?:^|.*[_ -])([0-9A-F]{8}|[0-9a-f]{8})")
_AUDIOMOTH_YEARS = range(2016, 2036)
_YEARS = range(1900, 2100)  # sound has been recorded since; a later year is a clock that was set wrongly
_UNSET = ("1970-01-01", "1980-01-01")  # where the clocks of recorders and of memory cards begin
_WIDEST_ZONE = timedelta(hours=14)


@dataclass(frozen=True)
class Began:
    """The time when a recording began.

    Attributes
    ----------
    local
        The time of day where the recorder stood; with its zone where that is known.
    source
        Where it was found: ``GUANO``, ``WAMD``, ``AudioMoth comment`` or ``file name``.

    Examples
    --------
    >>> Began(datetime.fromisoformat("2026-06-21T22:15:00+02:00"), "GUANO").utc.isoformat()
    '2026-06-21T20:15:00+00:00'
    """

    local: datetime
    source: str

    @property
    def zone_known(self) -> bool:
        """True if the time zone is known."""
        return self.local.tzinfo is not None

    @property
    def utc(self) -> datetime | None:
        """The moment in UTC; None where the zone is not known."""
        return self.local.astimezone(UTC) if self.zone_known else None


def iso_time(began: Began | None, start_s: float = 0.0) -> str:
    """Write the time of what lies ``start_s`` real seconds behind the beginning, ISO 8601 with milliseconds.

    Without a zone where the zone is not known, and empty where the time is not.

    Examples
    --------
    >>> iso_time(Began(datetime.fromisoformat("2026-06-21T22:15:00+02:00"), "GUANO"), 1.5)
    '2026-06-21T22:15:01.500+02:00'
    """
    if began is None:
        return ""
    later = timedelta(milliseconds=round(start_s * 1000))
    if began.utc is None:
        return (began.local + later).isoformat(timespec="milliseconds")
    return (began.utc + later).astimezone(began.local.tzinfo).isoformat(timespec="milliseconds")


def time_zone_of(name: str) -> tzinfo:
    """Return the time zone of a name such as ``Europe/Brussels``, or of an offset such as ``+02:00``.

    Raises
    ------
    ConfigError
        For a name that is none.
    """
    from zoneinfo import ZoneInfo  # reads files of the system, which a recorder without stated zones can do without

    try:
        return _offset(name, name) if _ZONE.fullmatch(name) else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"time zone {name!r}: allowed are names such as Europe/Brussels, and offsets such as +02:00"
        ) from None


def find_beginning(
    path: str | Path, noted: Sequence[tuple[str, Mapping[str, str]]], stated: tzinfo | None = None
) -> tuple[Began | None, str]:
    """Find when a recording began, and what must be said about it.

    Parameters
    ----------
    path
        The file; its name is looked at last.
    noted
        Metadata by their source, the most trusted first: a ``Timestamp``, or the ``Comment`` of an AudioMoth.
    stated
        The zone of times that come without one.

    Returns
    -------
    began
        None where nothing says it.
    note
        Why a time is left out, or that its zone is not known; empty where all is well.
    """
    found: list[Began] = []
    notes: list[str] = []
    for source, fields in noted:
        for key, read in (("Comment", read_comment), ("Timestamp", _read_stamp)):
            if not fields.get(key):
                continue
            try:
                local = read(fields[key])
            except ValueError as error:
                notes.append(f"the time in its {source} is left out: {error}")
                continue
            if local is not None:
                found.append(Began(local, source))
    try:
        in_name = _read_name(Path(path).name)
    except ValueError as error:
        in_name = None
        if not found:
            notes.append(f"the time in its name is left out: {error}")
    if in_name is not None:
        found.append(Began(in_name, "file name"))
    if not found:
        return None, "; ".join(notes)
    began, note = _settle_zone(found, stated)
    return began, "; ".join([*notes, note] if note else notes)


def serial_of(fields: Mapping[str, str]) -> str:
    """Return the recorder's serial number in metadata under GUANO names; that of an AudioMoth is in its comment.

    Examples
    --------
    >>> serial_of({"Comment": "Recorded at 22:15:00 21/06/2026 (UTC) by AudioMoth 249BC30461CBB1E6 at medium gain"})
    '249BC30461CBB1E6'
    """
    found = _AUDIOMOTH_ID.search(fields.get("Comment", ""))
    return fields.get("Serial", "").strip() or (found[1] if found else "")


def _settle_zone(found: Sequence[Began], stated: tzinfo | None) -> tuple[Began, str]:
    """The first time; its zone is its own, else that of another source with the same time of day, else the stated."""
    first = found[0]
    if first.zone_known:
        return first, ""
    for other in found[1:]:
        if other.zone_known and abs(other.local.replace(tzinfo=None) - first.local) < timedelta(seconds=2):
            return Began(first.local.replace(tzinfo=other.local.tzinfo), first.source), ""
    if stated is None:
        return first, f"begins {first.local:%Y-%m-%d %H:%M:%S} ({first.source}); its time zone is not known"
    moment = first.local.replace(tzinfo=stated)
    there = moment.astimezone(UTC).astimezone(stated)
    if there.replace(tzinfo=None) != first.local:
        note = (
            f"{first.local:%Y-%m-%d %H:%M:%S} does not exist in {stated}, the clocks went forward; taken as "
            f"{there:%H:%M:%S}, as if the recorder's clock was not changed"
        )
        return Began(there, first.source), note
    if moment.utcoffset() != moment.replace(fold=1).utcoffset():
        note = f"{first.local:%Y-%m-%d %H:%M:%S} comes twice in {stated}, the clocks went back; the first is taken"
        return Began(moment, first.source), note
    return Began(moment, first.source), ""


def _read_stamp(text: str) -> datetime:
    """A date, a time and perhaps an offset, as GUANO and WAMD write them."""
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{_shown(text)} is not a date with a time, such as 2026-06-21T22:15:00+02:00")
    year, _, month, day, hour, minute, second, fraction, zone = match.groups()
    return _moment(text, (year, month, day, hour, minute, second or "0"), fraction, zone)


def read_comment(text: str) -> datetime | None:
    """Read the time in the comment of an AudioMoth; None in other comments, ValueError for a time that cannot be."""
    match = _AUDIOMOTH.search(text)
    if match is None:
        return None
    hour, minute, second, fraction, day, month, year, zone = match.groups()
    return _moment(match[0], (year, month, day, hour, minute, second), fraction, zone)


def _read_name(name: str) -> datetime | None:
    """A date and a time in a file's name; or the seconds since 1970, hexadecimal, of the first AudioMoths."""
    stem, dot, ending = name.rpartition(".")
    stem = stem if dot else name
    problem: ValueError | None = None
    for match in _NAME.finditer(stem):
        year, _, month, day, hour, _, minute, second, fraction, zone = match.groups()
        zone = zone if zone is None or _is_offset(zone) else None  # a number such as -1234 that follows is no zone
        try:
            return _moment(match[0], (year, month, day, hour, minute, second), fraction, zone)
        except ValueError as error:
            problem = error
    number = _HEXADECIMAL.fullmatch(stem)
    if number is not None and (not number[1].isdecimal() or (number[1] == stem and ending == "WAV")):
        when = datetime.fromtimestamp(int(number[1], 16), UTC)
        if when.year in _AUDIOMOTH_YEARS:
            return when
    if problem is not None and not re.search(r"\d{14}", stem):  # fourteen digits may be a number of any kind
        raise problem
    return None


def _is_offset(zone: str) -> bool:
    if zone in "Zz":
        return True
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    return hours <= 14 and minutes in (0, 15, 30, 45)


def _moment(text: str, parts: Sequence[str], fraction: str | None, zone: str | None) -> datetime:
    try:
        year, month, day, hour, minute, second = map(int, parts)
        when = datetime(year, month, day, hour, minute, second, int((fraction or "0")[:6].ljust(6, "0")))
    except ValueError:
        raise ValueError(f"{_shown(text)} cannot be") from None
    if when.year not in _YEARS:
        raise ValueError(f"{_shown(text)} cannot be")
    if f"{when:%Y-%m-%d}" in _UNSET:
        raise ValueError(f"{_shown(text)}, the recorder's clock was not set")
    return when if zone is None else when.replace(tzinfo=_offset(text, zone))


def _offset(text: str, zone: str) -> timezone:
    sign = re.search(r"([+-])(\d{1,2})(?:[:_.]?(\d\d))?$", zone)
    if sign is None:
        return UTC
    offset = timedelta(hours=int(sign[2]), minutes=int(sign[3] or 0))
    if offset > _WIDEST_ZONE:
        raise ValueError(f"{_shown(text)}, no time zone is {sign[0]}")
    return timezone(-offset if sign[1] == "-" else offset)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
