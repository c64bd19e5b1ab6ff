"""Covariates of detection, of the shape of the effort: day of the year and hours from sunset, and their squares."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecotf.surveying.history import Occasions
from ecotf.surveying.sun import sun_time


def sunsets_of(positions: dict[str, tuple[float, float]], first: pd.Timestamp, last: pd.Timestamp) -> pd.Series:
    """Return sunset in UTC by site and date of the evening."""
    days = pd.date_range(first - pd.Timedelta(days=1), last + pd.Timedelta(days=1))
    parts = {site: pd.Series(sun_time(days.to_numpy(), *place), index=days) for site, place in positions.items()}
    return pd.concat(parts, names=["site", "day"])


def covariates_of(hours: pd.DataFrame, effort: pd.DataFrame, occasions: Occasions) -> dict[str, pd.DataFrame]:
    """Return the covariates by name, NA where nothing was recorded.

    ``day_of_year`` and ``hour_from_sunset`` are means over what was recorded; ``_z`` are the same less their mean over
    all sites and occasions, over their standard deviation; ``_z2`` the squares of those, which a model can tell from
    them. ``hour_from_sunset`` is NA where no time zone is known and where the sun does not set.
    """
    own = hours[hours["recorded_s"] > 0].copy()
    own["occasion"] = occasions.name_of(own["day"])
    own["day_of_year"] = own["day"].dt.dayofyear.astype(float)
    own["hour_from_sunset"] = own["from_sunset_s"].astype(float) / 3600
    found: dict[str, pd.DataFrame] = {}
    for name in ("day_of_year", "hour_from_sunset"):
        known = own.dropna(subset=[name])
        keys = [known["site"], known["occasion"]]
        weighted = (known[name] * known["recorded_s"]).groupby(keys).sum() / known["recorded_s"].groupby(keys).sum()
        table = weighted.unstack("occasion").reindex(index=effort.index, columns=effort.columns)
        values = table.to_numpy(float)
        spread = np.nanstd(values) if np.isfinite(values).any() else 0.0
        scaled = (table - np.nanmean(values)) / spread if spread > 0 else table * 0.0
        found |= {name: table, f"{name}_z": scaled, f"{name}_z2": scaled**2}
    return found
