"""When each recording began, on the clock of its site and in UTC, and which times cannot be right."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pandas as pd

from ecotf.surveying.sites import Sites

FIRST_YEAR = 2000
_ZONED = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
_FAR_H = 3.0  # hours by which a clock may differ from the sun's: summer time and wide zones are within it


def add_times(recordings: pd.DataFrame, sites: Sites, stated: str | None, now: datetime) -> list[str]:
    """Add the columns ``local``, ``utc``, ``moment`` and ``fault`` to recordings that have a site.

    ``local`` is the time of day at the site without a zone, ``utc`` the moment (NaT where no zone is known), ``moment``
    is ``utc``, or ``local`` where that is not known: by it recordings of one recorder are put in order. ``fault`` says
    why a time is not used: ``no date``, ``before 2000`` or ``in the future``; empty.

    Parameters
    ----------
    stated
        Time zone of all sites whose row has none; None: times are taken as the recorders give them.
    now
        A recording that begins a day later than this has a wrong clock.

    Returns
    -------
    What must be said, a line each.
    """
    text = pd.Series([str(one) for one in recordings["began"]], index=recordings.index)
    zoned = pd.Series([_ZONED.search(str(one)) is not None for one in recordings["began"]], index=text.index)
    local = pd.to_datetime(text.str.slice(0, 23).where(text != ""), format="ISO8601", errors="coerce")
    moments = pd.to_datetime(text.where(zoned), format="ISO8601", utc=True, errors="coerce")
    utc = moments.dt.tz_localize(None)
    zones = dict(zip(sites.table["site"], sites.table["time_zone"], strict=True))
    for site, zone in zones.items():
        zone = zone or stated
        own = recordings["site"] == site
        if not zone or not own.any():
            continue
        here = moments[own & zoned].dt.tz_convert(zone).dt.tz_localize(None)
        local.loc[here.index] = here
        there = local[own & ~zoned & local.notna()].dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
        utc.loc[there.index] = there.dt.tz_convert("UTC").dt.tz_localize(None)
    recordings["local"], recordings["utc"] = local, utc
    recordings["moment"] = utc.fillna(local)
    fault = pd.Series("", index=recordings.index, dtype=object)
    fault[local.isna()] = "no date"
    fault[local.dt.year < FIRST_YEAR] = "before 2000"
    fault[local > now + timedelta(days=1)] = "in the future"
    recordings["fault"] = fault
    return _zones_said(recordings, sites)


def _zones_said(recordings: pd.DataFrame, sites: Sites) -> list[str]:
    dated = recordings[(recordings["fault"] == "") & (recordings["site"] != "")]
    lines = []
    unknown = dated[dated["utc"].isna()]
    if len(unknown):
        names = _some(sorted(unknown["site"].unique()))
        lines.append(
            f"{len(unknown)} recordings say no time zone ({names}): dates are taken as they are, hours from sunset are "
            "not known; state it: --time-zone Europe/Brussels, or the column time_zone of the sites"
        )
    longitudes = dict(zip(sites.table["site"], sites.table["longitude"], strict=True))
    known = dated[dated["utc"].notna()]
    ahead = (known["local"] - known["utc"]).dt.total_seconds() / 3600 - known["site"].map(longitudes) / 15
    far = sorted(known.loc[ahead.abs() > _FAR_H, "site"].unique())
    if far:
        lines.append(
            f"the clocks of {_some(far)} are more than {_FAR_H:g} hours from the sun's time there, so a night may be "
            "cut in two; state the zone: --time-zone America/Bogota, or the column time_zone of the sites"
        )
    return lines


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def day_of(local: pd.Series, day: str) -> pd.Series:
    """Return the day that a time belongs to; with ``noon`` a night belongs to the date of its evening.

    Examples
    --------
    >>> times = pd.Series(pd.to_datetime(["2026-06-21 23:00", "2026-06-22 03:00", "2026-06-22 12:00"]))
    >>> day_of(times, "noon").dt.strftime("%m-%d").tolist()
    ['06-21', '06-21', '06-22']
    """
    return (local - pd.Timedelta(hours=12 if day == "noon" else 0)).dt.floor("D")
