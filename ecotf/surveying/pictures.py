"""The pictures of a survey: effort, histories, and how the number of species grows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecotf.reports.charts import ticks
from ecotf.surveying.accumulation import Accumulation
from ecotf.surveying.drawing import (
    BLUES,
    GRID,
    PAPER,
    WORDS,
    Box,
    boxes,
    date_ticks,
    fill_of,
    legend,
    line,
    svg,
    text,
)  # fmt: skip
from ecotf.surveying.effort import BROKEN, NOTHING, RECORDED, SILENT
from ecotf.surveying.survey import Survey

WIDTH = 1040.0
_ROW = 22.0


def effort_picture(survey: Survey) -> str:
    """Draw the effort: a row for each site, a column for each day."""
    days = pd.DatetimeIndex(sorted(survey.days["day"].unique()))
    left, wide = columns_of(survey.sites.names, len(days))
    most = survey.days["recorded_h"].max() or 1.0
    kinds: dict[str, list[Box]] = {}
    marks: list[Box] = []
    rows = {site: number for number, site in enumerate(survey.sites.names)}
    for site, day, state, hours, broken in zip(
        *(survey.days[name] for name in ("site", "day", "state", "recorded_h", "broken")), strict=True
    ):
        box = (left + (day - days[0]).days * wide, 4 + rows[site] * _ROW, wide, _ROW - 2)
        fill = blue(hours / most) if state == RECORDED else fill_of(state, "e")
        kinds.setdefault(fill, []).append(box)
        if state == RECORDED and broken:
            marks.append((box[0], box[1], min(5.0, wide), 5.0))
    foot = 4 + len(rows) * _ROW
    parts = [boxes(places, fill, PAPER) for fill, places in kinds.items()]
    parts.append(boxes(marks, fill_of(BROKEN, "e")))
    parts += [text(left - 6, 4 + number * _ROW + 14, site, "end") for site, number in rows.items()]
    parts += date_ticks(days, left, wide, foot)
    entries = [(BLUES[0], "little"), (BLUES[-1], f"{most:.3g} hours recorded that day")]
    entries += [(fill_of(state, "e"), words) for state, words in WORDS.items()]
    drawn, tall = legend(left, foot + 28, entries, left + len(days) * wide)
    return svg(WIDTH, foot + 32 + tall, [*parts, *drawn], "effort by site and day", "e")


def history_picture(survey: Survey, label: str, prefix: str) -> str:
    """Draw the detection history of a label: heard, not heard, and not known."""
    table = survey.histories[label]
    left, wide = columns_of(survey.sites.names, table.shape[1])
    kinds: dict[str, list[Box]] = {}
    values, states = table.to_numpy(float, na_value=np.nan), survey.states.to_numpy()
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = values[row, column]
            fill = fill_of(states[row, column], prefix) if np.isnan(value) else BLUES[3] if value else BLUES[0]
            kinds.setdefault(fill, []).append((left + column * wide, 4 + row * 16, wide, 14))
    foot = 4 + values.shape[0] * 16.0
    parts = [boxes(places, fill, PAPER) for fill, places in kinds.items()]
    parts += [text(left - 6, 15 + row * 16, site, "end") for row, site in enumerate(survey.sites.names)]
    parts += date_ticks(survey.occasions.firsts, left, wide, foot)
    entries = [(BLUES[3], "heard (1)"), (BLUES[0], "not heard (0)")]
    entries += [(fill_of(state, prefix), f"{state} (NA)") for state in (SILENT, BROKEN, NOTHING)]
    drawn, tall = legend(left, foot + 26, entries, WIDTH)
    return svg(WIDTH, foot + 28 + tall, [*parts, *drawn], f"history of {label}", prefix)


def accumulation_picture(found: Accumulation) -> str:
    """Draw how many species are found in so many site-days, in random orders."""
    wide, tall, left, foot = 560.0, 240.0, 48.0, 204.0
    top = max(1, int(found.high[-1]))
    last = max(1, int(found.days[-1]))

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x / last * (wide - left - 12), foot - y / (top * 1.05) * (foot - 8)

    band = [at(x, y) for x, y in zip(found.days, found.high, strict=True)]
    band += [at(x, y) for x, y in zip(found.days[::-1], found.low[::-1], strict=True)]
    shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in band)
    parts = []
    for value in (tick for tick in ticks(0, top) if tick == int(tick)):
        parts.append(line([at(0, value), at(last, value)], GRID))
        parts.append(text(left - 6, at(0, value)[1] + 4, f"{value:g}", "end"))
    parts.append(f'<polygon points="{shape}" fill="{BLUES[1]}" fill-opacity=".6"/>')
    parts.append(line([at(x, y) for x, y in zip(found.days, found.mean, strict=True)], BLUES[-1], 2))
    for value in ticks(0, last):
        parts.append(text(at(value, 0)[0], foot + 15, f"{value:g}", "middle"))
    parts.append(text((left + wide) / 2, foot + 31, "days of a site on which something was recorded", "middle"))
    return svg(wide, tall, parts, "species by site-days", "a")


def columns_of(sites: list[str], count: int) -> tuple[float, float]:
    """Return where columns begin behind the names of sites, and their width."""
    left = 16 + 6.4 * min(28, max(map(len, sites)))
    return left, width_of(left, count)


def width_of(left: float, count: int) -> float:
    """Return the width of so many columns."""
    return min(30.0, (WIDTH - left - 12) / count)


def blue(share: float, lowest: int = 0) -> str:
    """Return the colour of a share from 0 to 1."""
    steps = len(BLUES) - lowest
    return BLUES[lowest + min(steps - 1, int(np.ceil(float(share) * steps)) - 1 if share > 0 else 0)]
