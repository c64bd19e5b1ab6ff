"""The hours of the night, or the day, in which a species is heard, date by date, over the effort."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ecotf.surveying.drawing import (
    BLUES,
    GREYS,
    INK,
    Box,
    boxes,
    date_ticks,
    fill_of,
    legend,
    line,
    svg,
    text,
)  # fmt: skip
from ecotf.surveying.effort import BROKEN, NOTHING, SILENT
from ecotf.surveying.pictures import WIDTH, blue, width_of
from ecotf.surveying.sun import sun_time
from ecotf.surveying.survey import Survey

_PER_HOUR = 4  # rows of an hour: a quarter of an hour each
_At = Callable[[pd.Timestamp, float], tuple[float, float]]


def activity_picture(survey: Survey, label: str, prefix: str) -> str:
    """Draw the passes of a label by day and hour of all sites, over the effort: white where all sites recorded."""
    days = pd.DatetimeIndex(sorted(survey.days["day"].unique()))
    shift = 12 if survey.options.day == "noon" else 0
    first, last = _hours_shown(survey, shift)
    shown = [(hour + shift) % 24 for hour in range(first, last)]
    left, wide, tall = 62.0, width_of(110.0, len(days)), 15.0
    foot = 6 + (last - first) * tall

    def at(day: pd.Timestamp, hour: float) -> tuple[float, float]:
        return left + (day - days[0]).days * wide, 6 + ((hour - shift) % 24 - first) * tall

    parts = [
        boxes(places, fill) for fill, places in _effort_behind(survey, days, at, shown, (wide, tall), prefix).items()
    ]
    own = survey.detections[(survey.detections["label"] == label) & survey.detections["begins"]]
    quarter = own["local"].dt.hour * _PER_HOUR + own["local"].dt.minute * _PER_HOUR // 60
    counts = own.groupby([own["day"], quarter]).size()
    most = int(counts.max()) if len(counts) else 1
    kinds: dict[str, list[Box]] = {}
    for (day, part), count in zip(counts.index, counts, strict=True):
        x, y = at(day, part / _PER_HOUR)
        fill = blue(np.log(count) / np.log(max(most, 2)), lowest=1)
        kinds.setdefault(fill, []).append((x, y, wide, tall / _PER_HOUR))
    parts += [boxes(places, fill) for fill, places in kinds.items()]
    for hour in range(first, last + 1):
        name = (hour + shift) % 24
        if (hour - first) % 2 == 0:
            parts.append(line([(left - 4, 6 + (hour - first) * tall), (left, 6 + (hour - first) * tall)], INK, 0.8))
            parts.append(text(left - 8, 10 + (hour - first) * tall, f"{name:02d}:00", "end"))
    parts += _sun_lines(survey, days, at, wide, (6, foot))
    parts.append(f'<rect x="{left}" y="6" width="{len(days) * wide:.1f}" height="{foot - 6:.1f}" fill="none" '
                 f'stroke="{INK}" stroke-width=".8"/>')  # fmt: skip
    parts += date_ticks(days, left, wide, foot)
    entries = [(BLUES[1], "1 pass in a quarter of an hour")]
    if most > 1:
        entries.append((BLUES[-1], f"{most} passes"))
    sites = len(survey.sites.names)
    entries += list(zip(GREYS, (f"all {sites} sites recorded", "half or more", "fewer"), strict=True))
    entries += [(fill_of(state, prefix), f"only {state}") for state in (SILENT, BROKEN)]
    entries.append((fill_of(NOTHING, prefix), "nothing at all"))
    drawn, high = legend(left, foot + 28, entries, WIDTH)
    about = f"{label} by day and hour"
    return svg(WIDTH, foot + 32 + high, [*parts, *drawn], about, prefix)


def _hours_shown(survey: Survey, shift: int) -> tuple[int, int]:
    """Return the first and the last hour in which there is anything, counted from the day's beginning."""
    hours = (survey.hours["hour"] - shift) % 24
    return max(0, int(hours.min()) - 1), min(24, int(hours.max()) + 2)


def _effort_behind(
    survey: Survey, days: pd.DatetimeIndex, at: _At, shown: list[int], size: tuple[float, float], prefix: str
) -> dict[str, list[Box]]:
    """Boxes of one hour by how they are filled: the share of sites that recorded, or what there was instead."""
    own = survey.hours.assign(
        sites=survey.hours["recorded_s"] > 0, silent=survey.hours["silent_s"] > 0, failed=survey.hours["broken"] > 0
    )
    sums = own.groupby(["day", "hour"])[["sites", "silent", "failed"]].sum()
    grid = pd.MultiIndex.from_product([days, shown], names=["day", "hour"])
    sums = sums.reindex(grid, fill_value=0)
    share = sums["sites"] / len(survey.sites.names)
    fills = np.select(
        [share >= 1, share >= 0.5, share > 0, sums["silent"] > 0, sums["failed"] > 0],
        [*GREYS, fill_of(SILENT, prefix), fill_of(BROKEN, prefix)],
        fill_of(NOTHING, prefix),
    )
    kinds: dict[str, list[Box]] = {}
    for (day, hour), fill in zip(grid, fills, strict=True):
        kinds.setdefault(str(fill), []).append((*at(day, hour), *size))
    return kinds


def _sun_lines(survey: Survey, days: pd.DatetimeIndex, at: _At, wide: float, bounds: tuple[float, float]) -> list[str]:
    """Sunset and sunrise in the middle of the sites; none where no time zone is known."""
    known = survey.recordings[(survey.recordings["left_out"] == "") & survey.recordings["utc"].notna()]
    if not len(known):
        return []
    ahead = pd.Timedelta(seconds=float((known["local"] - known["utc"]).dt.total_seconds().median()))
    latitude, longitude = survey.sites.table[["latitude", "longitude"]].astype(float).mean()
    parts = []
    for what in ("sunset", "sunrise"):
        later = pd.Timedelta(days=1 if what == "sunrise" and survey.options.day == "noon" else 0)
        moments = pd.DatetimeIndex(sun_time((days + later).to_numpy(), latitude, longitude, what)) + ahead
        places = [
            (x + wide / 2, y)
            for day, moment in zip(days, moments, strict=True)
            if moment is not pd.NaT
            for x, y in [at(day, moment.hour + moment.minute / 60)]
            if bounds[0] <= y <= bounds[1]
        ]
        if len(places) > 1:
            parts.append(line(places, "#d55e00", 1.4, "5 3"))
            parts.append(text(places[-1][0] + wide / 2 + 4, places[-1][1] + 4, what))
    return parts
