"""Effort: what was recorded, what was silent, what was broken and when there was nothing, by site, day and hour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecotf.surveying.times import day_of

RECORDED, SILENT, BROKEN, NOTHING = "recorded", "silent", "broken", "nothing"
STATES = (RECORDED, SILENT, BROKEN, NOTHING)
STATE_OF = {
    "done": RECORDED, "salvaged": RECORDED, "silent": SILENT,
    "short": BROKEN, "corrupt": BROKEN, "unsupported": BROKEN, "failed": BROKEN,
}  # fmt: skip
"""``silent`` is a recorder that ran and heard nothing at all, not even noise; ``broken`` a file without an answer."""
HOUR_COLUMNS = ("site", "day", "hour", "recorded_s", "silent_s", "broken", "from_sunset_s")


def hours_of(recordings: pd.DataFrame, day: str, sunsets: pd.Series | None = None) -> pd.DataFrame:
    """Add up effort by site, day and hour of the clock there; only hours in which there is something.

    Parameters
    ----------
    recordings
        With ``site``, ``local``, ``moment``, ``duration_s`` and ``state``; a second that two of them recorded counts
        once.
    day
        ``noon`` or ``midnight`` (`ecotf.surveying.times.day_of`).
    sunsets
        Moment of sunset in UTC by (site, date of the evening); None where it is not wanted.

    Returns
    -------
    Columns `HOUR_COLUMNS`: seconds recorded and silent, broken files that began in that hour, and the mean time of
    what was recorded after sunset, in seconds (NaN where not known).
    """
    pieces = []
    for state, column in ((RECORDED, "recorded_s"), (SILENT, "silent_s")):
        own = _by_hour(_once(recordings[recordings["state"] == state]))
        own["kind"] = column
        pieces.append(own)
    broken = recordings[recordings["state"] == BROKEN]
    begins = {"site": broken["site"], "hour_local": broken["local"].dt.floor("h")}
    pieces.append(pd.DataFrame(begins).assign(kind="broken", amount=1.0))
    pieces = [piece for piece in pieces if len(piece)]
    if not pieces:
        return pd.DataFrame({name: [] for name in HOUR_COLUMNS})
    table = pd.concat(pieces, ignore_index=True)
    table["day"] = day_of(table["hour_local"], day)
    table["hour"] = table["hour_local"].dt.hour
    keys = ["site", "day", "hour"]
    sums = table.pivot_table(index=keys, columns="kind", values="amount", aggfunc="sum", fill_value=0.0)
    sums = sums.reindex(columns=["recorded_s", "silent_s", "broken"], fill_value=0.0)
    sums["broken"] = sums["broken"].astype(int)
    sums["from_sunset_s"] = _after_sunset(table[table["kind"] == "recorded_s"], keys, sunsets)
    return sums.reset_index()[list(HOUR_COLUMNS)]


def _once(recordings: pd.DataFrame) -> pd.DataFrame:
    """Cut recordings so that no two of a site lie over each other."""
    own = recordings.dropna(subset=["duration_s"]).sort_values(["site", "moment"], kind="stable")
    end = own["moment"] + pd.to_timedelta(own["duration_s"], unit="s")
    before = end.groupby(own["site"]).cummax().groupby(own["site"]).shift()
    start = own["moment"].where(before.isna() | (before <= own["moment"]), before)
    late = start - own["moment"]
    cut = pd.DataFrame(
        {"site": own["site"], "moment": start, "local": own["local"] + late, "zoned": own["utc"].notna(),
         "seconds": (end - start).dt.total_seconds()}
    )  # fmt: skip
    return cut[cut["seconds"] > 0]


def _by_hour(pieces: pd.DataFrame) -> pd.DataFrame:
    """Cut pieces at full hours; within a recording the clock runs on, also where clocks change for the summer."""
    first = pieces["local"].dt.floor("h")
    into = (pieces["local"] - first).dt.total_seconds().to_numpy()
    seconds = pieces["seconds"].to_numpy()
    count = np.ceil((into + seconds) / 3600 - 1e-9).astype(int).clip(1)
    row = np.repeat(np.arange(len(pieces)), count)
    step = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    start = np.maximum(step * 3600.0, into[row])
    end = np.minimum((step + 1) * 3600.0, into[row] + seconds[row])
    middle = pieces["moment"].to_numpy()[row] + pd.to_timedelta((start + end) / 2 - into[row], unit="s")
    table = pd.DataFrame(
        {
            "site": pieces["site"].to_numpy()[row],
            "hour_local": first.to_numpy()[row] + pd.to_timedelta(step, unit="h"),
            "amount": end - start,
            "middle": middle,
            "zoned": pieces["zoned"].to_numpy()[row],
        }
    )
    return table[table["amount"] > 0]


def _after_sunset(table: pd.DataFrame, keys: Sequence[str], sunsets: pd.Series | None) -> pd.Series | float:
    if sunsets is None or not len(table):
        return np.nan
    evening = day_of(table["hour_local"], "noon")
    wanted = pd.MultiIndex.from_arrays([table["site"], evening])
    after = (table["middle"] - pd.Series(sunsets.reindex(wanted).to_numpy(), index=table.index)).dt.total_seconds()
    after = after.where(table["zoned"].astype(bool))
    own = table.assign(weighted=after * table["amount"], weight=table["amount"].where(after.notna()))
    sums = own.groupby(list(keys))[["weighted", "weight"]].sum(min_count=1)
    return sums["weighted"] / sums["weight"]


def days_of(hours: pd.DataFrame, sites: Sequence[str], days: pd.DatetimeIndex) -> pd.DataFrame:
    """Add up hours by site and day, for every site and day: what there was, and ``nothing`` where there was nothing.

    Returns
    -------
    Columns ``site, day, state, recorded_h, silent_h, broken``: ``state`` is the best of the day, ``broken`` counts
    files.
    """
    grid = pd.MultiIndex.from_product([sites, days], names=["site", "day"])
    sums = hours.groupby(["site", "day"])[["recorded_s", "silent_s", "broken"]].sum()
    sums = sums.reindex(grid, fill_value=0).reset_index()
    table = sums[["site", "day"]].copy()
    table["state"] = states_of(sums)
    table["recorded_h"] = sums["recorded_s"] / 3600
    table["silent_h"] = sums["silent_s"] / 3600
    table["broken"] = sums["broken"].astype(int)
    return table


def states_of(table: pd.DataFrame) -> np.ndarray:
    """Return the state of rows with ``recorded_s``, ``silent_s`` and ``broken``: the best that there was."""
    return np.select(
        [table["recorded_s"] > 0, table["silent_s"] > 0, table["broken"] > 0], [RECORDED, SILENT, BROKEN], NOTHING
    )
