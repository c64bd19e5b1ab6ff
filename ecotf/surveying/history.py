"""The detection history: site by occasion, 1, 0, and nothing where nothing was recorded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecotf.errors import ConfigError
from ecotf.surveying.effort import states_of

BEST_COLUMNS = ("recording", "path", "start_s", "end_s", "low_hz", "high_hz")


@dataclass(frozen=True)
class Occasions:
    """The occasions of a survey: periods of whole days, without gaps.

    Attributes
    ----------
    firsts
        The first day of each.
    days
        How many days each has; the last may reach beyond the survey's end.
    """

    firsts: pd.DatetimeIndex
    days: int

    @classmethod
    def of(cls, every: str, first: pd.Timestamp, last: pd.Timestamp) -> Occasions:
        """Cut a survey into occasions: ``day``, ``week`` (from Monday) or ``7d`` (from the first day)."""
        length = days_of_occasion(every)
        begin = first - pd.Timedelta(days=first.weekday()) if every == "week" else first
        return cls(pd.date_range(begin, last, freq=f"{length}D"), length)

    @property
    def names(self) -> list[str]:
        """Their first days, as ``2026-06-21``."""
        return [f"{first:%Y-%m-%d}" for first in self.firsts]

    def name_of(self, days: pd.Series) -> pd.Series:
        """Return the occasion of each day, by its name."""
        number = (days - self.firsts[0]).dt.days // self.days
        return pd.Series(np.asarray(self.names, object)[number.to_numpy(int)], index=days.index)


def days_of_occasion(every: str) -> int:
    """Read ``day``, ``week`` or ``7d``.

    Raises
    ------
    ConfigError
        For anything else.
    """
    if every in ("day", "week"):
        return 1 if every == "day" else 7
    found = re.fullmatch(r"([1-9]\d{0,3})d", every)
    if found is None:
        raise ConfigError(f"occasion {every!r}: allowed are day, week, and a number of days such as 7d")
    return int(found[1])


def effort_of(hours: pd.DataFrame, sites: Sequence[str], occasions: Occasions) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return hours recorded and the state of every site and occasion, as two tables of one shape."""
    grid = pd.MultiIndex.from_product([sites, occasions.names], names=["site", "occasion"])
    own = hours.assign(occasion=occasions.name_of(hours["day"]))
    sums = own.groupby(["site", "occasion"])[["recorded_s", "silent_s", "broken"]].sum().reindex(grid, fill_value=0)
    states = pd.Series(states_of(sums), index=grid)
    rows, columns = list(sites), occasions.names
    return (
        (sums["recorded_s"] / 3600).unstack("occasion").reindex(index=rows, columns=columns),
        states.unstack("occasion").reindex(index=rows, columns=columns),
    )


def passes_of(detections: pd.DataFrame, gap_s: float) -> np.ndarray:
    """Tell which detections begin a pass: the calls of a label at a site that follow each other by less than a gap.

    Parameters
    ----------
    detections
        With ``site``, ``label``, ``moment`` and ``end_moment``.
    """
    ordered = detections.sort_values(["site", "label", "moment"], kind="stable")
    keys = [ordered["site"], ordered["label"]]
    before = ordered["end_moment"].groupby(keys).cummax().groupby(keys).shift()
    begins = before.isna() | ((ordered["moment"] - before).dt.total_seconds() >= gap_s)
    return begins.reindex(detections.index).to_numpy(bool)


def observations_of(detections: pd.DataFrame, occasions: Occasions) -> pd.DataFrame:
    """Return a row for each site, occasion and label that was found: ``n``, ``passes``, ``score`` and the best clip."""
    own = detections.assign(occasion=occasions.name_of(detections["day"]))
    keys = ["site", "occasion", "label"]
    found = own.groupby(keys, sort=True).agg(n=("score", "size"), passes=("begins", "sum"), score=("score", "max"))
    best = own.sort_values("score", ascending=False, kind="stable").drop_duplicates(keys).set_index(keys)
    return found.join(best[[*BEST_COLUMNS, "local"]]).rename(columns={"local": "time"}).reset_index()


def history_of(observations: pd.DataFrame, label: str, effort: pd.DataFrame) -> pd.DataFrame:
    """Return 1, 0 and NA of one label, of the shape of the effort: NA is where nothing was recorded."""
    own = observations[observations["label"] == label]
    seen = pd.Series(1.0, index=pd.MultiIndex.from_frame(own[["site", "occasion"]]))
    table = (
        seen.unstack("occasion").reindex(index=effort.index, columns=effort.columns) if len(own) else effort * np.nan
    )
    return table.fillna(0.0).where(effort > 0).astype("Int64")
