"""The table of sites, and which site each recording is of."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from ecotf.audio.beginning import time_zone_of
from ecotf.errors import ConfigError, DataError

REQUIRED = ("site", "latitude", "longitude")
MEANT = ("recorder", "folder", "time_zone")
WAYS = ("data", "recorder", "folder", "name")
"""How a recording's site is known: the data set says it, or its recorder, its folder, its file's name do."""


@dataclass(frozen=True)
class Sites:
    """The sites of a survey.

    Attributes
    ----------
    table
        ``site, latitude, longitude``, then ``recorder``, ``folder`` and ``time_zone`` (empty where not given), then
        whatever other columns the file has, as covariates of a site.
    path
        The file.
    """

    table: pd.DataFrame
    path: Path

    @property
    def names(self) -> list[str]:
        """The sites, in the order of the file."""
        return list(self.table["site"])

    @property
    def covariates(self) -> list[str]:
        """The columns that are neither place nor rule."""
        return [str(name) for name in self.table if name not in (*REQUIRED, *MEANT)]

    def serials(self, site: str) -> set[str]:
        """Return the recorders that the table says stand at a site."""
        return set(_parts(str(self.table.set_index("site").at[site, "recorder"])))


def read_sites(path: Path) -> Sites:
    """Read and check ``sites.csv``.

    Raises
    ------
    ConfigError
        The file is not there or no table.
    DataError
        A column is missing, a site comes twice, a position or a zone cannot be, or a recorder stands at two sites.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=None, engine="python")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is no table of sites ({str(error).splitlines()[0]})") from None
    table.columns = [str(name).strip() for name in table]
    table = table.apply(lambda column: column.str.strip())
    absent = [name for name in REQUIRED if name not in table]
    if absent:
        raise DataError(f"{path}: column {absent[0]!r} is missing; needed are {', '.join(REQUIRED)}")
    if not len(table):
        raise DataError(f"{path}: no site in it")
    twice = table["site"][table["site"].duplicated()]
    if len(twice):
        raise DataError(f"{path}: site {twice.iloc[0]!r} comes twice; each site has one row")
    if "" in set(table["site"]):
        raise DataError(f"{path}: line {list(table['site']).index('') + 2} has no site")
    for name, most in (("latitude", 90), ("longitude", 180)):
        values = pd.to_numeric(table[name], errors="coerce")
        wrong = table.loc[values.isna() | (values.abs() > most), ["site", name]]
        if len(wrong):
            site, value = wrong.iloc[0]
            raise DataError(
                f"{path}: {name} {value!r} of site {site!r}: decimal degrees, {-most} to {most}, are needed"
            )
        table[name] = values
    for name in MEANT:
        if name not in table:
            table[name] = ""
    for zone in sorted(set(table["time_zone"]) - {""}):
        try:
            time_zone_of(zone)
        except ConfigError as error:
            raise DataError(f"{path}: {error}") from None
    for column in ("recorder", "folder"):
        owners: dict[str, str] = {}
        for site, cell in zip(table["site"], table[column], strict=True):
            for part in _parts(cell):
                if owners.setdefault(part, site) != site:
                    raise DataError(f"{path}: {column} {part!r} is given for two sites, {owners[part]!r} and {site!r}")
    return Sites(table, path)


@dataclass(frozen=True)
class Placed:
    """The sites of recordings.

    Attributes
    ----------
    sites
        By recording, in their order; empty where no rule knows it.
    ways
        The rule that told it, one of :data:`WAYS`; empty.
    unknown
        A line for each place that the table does not know, with how many recordings.
    """

    sites: list[str]
    ways: list[str]
    unknown: tuple[str, ...]


def place(recordings: pd.DataFrame, sites: Sites, by: str | None = None) -> Placed:
    """Find the site of each recording.

    Parameters
    ----------
    recordings
        As of `ecotf.surveying.inputs.Found`.
    by
        The one rule to go by; None asks all, which must agree: what the data set says; the recorder's serial number
        in the column ``recorder``; a folder that has the site's name or fits the column ``folder``; a file name that
        begins with the site's name and ``_``, ``-``, a dot or a space.

    Raises
    ------
    DataError
        Two rules name different sites for a recording.
    """
    if by is not None and by not in WAYS:
        raise ConfigError(f"sites by {by!r}: allowed are {', '.join(WAYS)}")
    rules = _Rules(sites)
    found, ways = [], []
    strangers: dict[str, int] = {}
    clashes: dict[str, int] = {}
    columns = (recordings[name] for name in ("recording", "recorder", "site"))
    for recording, recorder, said in zip(*columns, strict=True):
        told = {way: site for way, site in rules.ask(recording, recorder, said).items() if by in (None, way) and site}
        named = set(told.values())
        if len(named) > 1:
            text = ", ".join(f"its {_WORDS[way]} says {site!r}" for way, site in told.items())
            clashes[text] = clashes.get(text, 0) + 1
        way, site = next(iter(told.items()), ("", ""))
        if not site:
            stranger = said or _stranger(recording)
            strangers[stranger] = strangers.get(stranger, 0) + 1
        found.append(site)
        ways.append(way)
    if clashes:
        text, count = max(clashes.items(), key=lambda one: one[1])
        more = f", and {len(clashes) - 1} more such cases" if len(clashes) > 1 else ""
        raise DataError(
            f"{sites.path}: the site of {count} recordings is not clear ({text}{more}); correct the table, or say "
            f"which to go by: --site-by {', '.join(WAYS[1:])}"
        )
    lines = [
        f"{name}: {count} recording{'s' * (count != 1)} of no site in {sites.path}, left out"
        for name, count in sorted(strangers.items())
    ]
    return Placed(found, ways, tuple(lines))


_WORDS = {"data": "data set", "recorder": "recorder", "folder": "folder", "name": "file name"}


class _Rules:
    """What the table says, ready to be asked a million times."""

    def __init__(self, sites: Sites) -> None:
        table = sites.table
        self._names = set(table["site"])
        self._recorders = {
            part.casefold(): site
            for site, cell in zip(table["site"], table["recorder"], strict=True)
            for part in _parts(cell)
        }
        self._folders = [
            (re.compile(fnmatch.translate(part)), site)
            for site, cell in zip(table["site"], table["folder"], strict=True)
            for part in _parts(cell)
        ]
        longest = sorted(self._names, key=len, reverse=True)
        self._prefix = re.compile(f"({'|'.join(map(re.escape, longest))})[-_. ]")
        self._known: dict[PurePath, str] = {}

    def ask(self, recording: str, recorder: str, said: str) -> dict[str, str]:
        path = PurePath(recording.replace("\\", "/"))
        if path.parent not in self._known:
            self._known[path.parent] = self._of_folder(path.parent)
        begins = self._prefix.match(path.name)
        return {
            "data": said if said in self._names else "",
            "recorder": self._recorders.get(recorder.casefold(), "") if recorder else "",
            "folder": self._known[path.parent],
            "name": begins[1] if begins else "",
        }

    def _of_folder(self, folder: PurePath) -> str:
        for pattern, site in self._folders:
            if any(pattern.match(part) for part in folder.parts) or pattern.match(str(folder)):
                return site
        return next((part for part in reversed(folder.parts) if part in self._names), "")


def _stranger(recording: str) -> str:
    """What a recording of no known site is called: its folder."""
    folder = PurePath(recording.replace("\\", "/")).parent
    return str(folder)


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in re.split("[;|]", cell) if part.strip()]


def positions(sites: Sites) -> dict[str, tuple[float, float]]:
    """Return latitude and longitude by site, in degrees."""
    table = sites.table
    values = table[["latitude", "longitude"]].to_numpy(np.float64)
    return {site: (lat, lon) for site, (lat, lon) in zip(table["site"], values.tolist(), strict=True)}
