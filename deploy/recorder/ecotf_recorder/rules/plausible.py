"""``rules.plausible``: labels by month and place, from a plain table that a spreadsheet can write."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from ecotf_recorder.config import Site
from ecotf_recorder.errors import ConfigError

ALL_OTHERS = "*"
_BOX = {"south": 90, "north": 90, "west": 180, "east": 180}  # and the largest value of each, in degrees
_COLUMNS = ("label", "first_month", "last_month", "place", *_BOX)
_YEAR = frozenset(range(1, 13))
_MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class Plausible:
    """The months in which each label is plausible at one site.

    Attributes
    ----------
    months
        Of each label of the table, 1 to 12; empty where it is plausible at other places alone.
    names_places
        Whether a row of the table is for one place.
    """

    months: Mapping[str, frozenset[int]]
    names_places: bool = False

    def why_not(self, label: str, wall: float | None) -> str:
        """Reason why a label is not plausible at a time, in seconds since 1970; empty if it is.

        Without a time, a label is plausible if it is so in any month.

        Examples
        --------
        >>> spring = Plausible({"Pipistrellus nathusii": frozenset({4, 5})})
        >>> spring.why_not("Pipistrellus nathusii", 1_782_043_200.0)
        'not plausible in month 6'
        """
        months = self.months.get(label, self.months.get(ALL_OTHERS))
        if months is None:
            return "not in the table of plausible labels"
        if not months:
            return "not plausible at this place"
        month = None if wall is None else datetime.fromtimestamp(wall, UTC).month
        return "" if month is None or month in months else f"not plausible in month {month}"


def read_plausible(path: Path, site: Site, always: Sequence[str] = ()) -> Plausible:
    """Read the table for one site.

    Parameters
    ----------
    site
        Its name and coordinates. ``place`` of a row is a name, or a pattern of names with ``*``, or empty for all;
        ``south``, ``north``, ``west`` and ``east`` are bounds in degrees, of which any may be empty.
    always
        Labels that are plausible unless the table names them.

    Raises
    ------
    ConfigError
        The first mistake, with its line; a row with bounds is one where the site has no coordinates.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8; save it as 'CSV UTF-8'") from None
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"{path}: is larger than {_MOST_BYTES >> 20} MB")
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    months: dict[str, frozenset[int]] = dict.fromkeys(always, _YEAR)
    named: dict[str, frozenset[int]] = {}
    names_places = False
    try:
        header = [name.strip() for name in next(rows, [])]
        if header != list(dict.fromkeys(header)) or "label" not in header or not set(header) <= set(_COLUMNS):
            raise ConfigError(f"{path}: its first line must name the columns {', '.join(_COLUMNS)}")
        for cells in rows:
            row = dict(zip(header, map(str.strip, cells), strict=False))
            if not any(cells):
                continue
            if not row.get("label") or len(cells) > len(header):
                raise ConfigError(f"{path}: line {rows.line_num}: needs a label, and at most {len(header)} cells")
            where, place = f"{path}: line {rows.line_num}", row.get("place", "")
            names_places = names_places or bool(place)
            fits = _is_inside(row, site, where)
            fits &= not place or fnmatchcase(site.name.casefold(), place.casefold())
            stated = _months(row, where)
            named[row["label"]] = named.get(row["label"], frozenset()) | (stated if fits else frozenset())
    except csv.Error as error:
        raise ConfigError(f"{path}: line {rows.line_num}: {error}") from None
    if not named:
        raise ConfigError(f"{path}: names no label, so that nothing would be plausible")
    return Plausible(months | named, names_places)


def _is_inside(row: Mapping[str, str], site: Site, where: str) -> bool:
    """Whether a site lies within the bounds of a row; ``west`` may be larger than ``east``, over the 180th meridian."""
    bounds = {}
    for name, most in _BOX.items():
        if not row.get(name):
            continue
        try:
            bounds[name] = float(row[name].replace(",", "."))
        except ValueError:
            bounds[name] = math.inf
        if not abs(bounds[name]) <= most:
            raise ConfigError(f"{where}: {name} {row[name]!r} is no number of degrees from -{most} to {most}")
    if not bounds:
        return True
    if not site.is_known:
        raise ConfigError(f"{where}: has coordinates; set site.latitude and site.longitude")
    south, north = bounds.get("south", -90.0), bounds.get("north", 90.0)
    if south > north:
        raise ConfigError(f"{where}: south {south:g} is north of north {north:g}")
    west, east = bounds.get("west", -180.0), bounds.get("east", 180.0)
    beyond_west, beyond_east = site.longitude >= west, site.longitude <= east
    between = beyond_west and beyond_east if west <= east else beyond_west or beyond_east
    return south <= site.latitude <= north and between


def _months(row: Mapping[str, str], where: str) -> frozenset[int]:
    """From the first to the last month, over the end of the year if need be; both empty stands for all."""
    texts = row.get("first_month", ""), row.get("last_month", "")
    if texts == ("", ""):
        return _YEAR
    for text in texts:
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:3]) <= 12):
            raise ConfigError(f"{where}: {text!r} is no month; give first_month and last_month as numbers from 1 to 12")
    first, last = map(int, texts)
    return frozenset(range(first, last + 1)) if first <= last else _YEAR - frozenset(range(last + 1, first))
