"""The Acoustic Objects Exchange Format that soundevent reads: one prediction set of the whole survey."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecotf.inference.aoef import Heard, prediction_set
from ecotf.inference.formats import calls_of
from ecotf.surveying.effort import RECORDED
from ecotf.surveying.sites import positions
from ecotf.surveying.survey import Survey


def write_aoef(survey: Survey, folder: Path) -> list[str]:
    """Write ``aoef.json``: all recordings that were heard, with site, place and time, and what was found in them."""
    used = survey.recordings[(survey.recordings["left_out"] == "") & (survey.recordings["state"] == RECORDED)]
    places = positions(survey.sites)
    found = dict(list(survey.detections.groupby("path", sort=False)))
    nothing = survey.detections.iloc[:0]
    heard = []
    for row in used.to_dict("records"):
        began = pd.Timestamp(row["local"]).isoformat() + _zone(row["local"], row["utc"])
        calls = calls_of(found.get(row["path"], nothing))
        site = (str(row["site"]), *places[row["site"]])
        heard.append(Heard(row["path"], row["sample_rate"], calls, began, row["duration_s"], site))
    (folder / "aoef.json").write_text(prediction_set(heard), encoding="utf-8")
    return []


def _zone(local: pd.Timestamp, utc: pd.Timestamp) -> str:
    """Write what a clock is ahead of UTC, as ``+02:00``; empty where that is not known."""
    if pd.isna(utc):
        return ""
    minutes = round((local - utc).total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
