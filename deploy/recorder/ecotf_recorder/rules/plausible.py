"""``rules.plausible``: labels by month and place, from a plain table that a spreadsheet can write."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from ecotf_recorder.errors import ConfigError

ALL_OTHERS = "*"
_COLUMNS = ("label", "first_month", "last_month", "place")
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


def read_plausible(path: Path, site: str, always: Sequence[str] = ()) -> Plausible:
    """Read the table for one site.

    Parameters
    ----------
    site
        Its name; ``place`` of a row is such a name, or a pattern of names with ``*``, or empty for all.
    always
        Labels that are plausible unless the table names them.

    Raises
    ------
    ConfigError
        The first mistake, with its line.
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
            place = row.get("place", "")
            names_places = names_places or bool(place)
            fits = not place or fnmatchcase(site.casefold(), place.casefold())
            stated = _months(row, f"{path}: line {rows.line_num}")
            named[row["label"]] = named.get(row["label"], frozenset()) | (stated if fits else frozenset())
    except csv.Error as error:
        raise ConfigError(f"{path}: line {rows.line_num}: {error}") from None
    if not named:
        raise ConfigError(f"{path}: names no label, so that nothing would be plausible")
    return Plausible(months | named, names_places)


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
