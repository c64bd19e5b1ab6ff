"""Clocks that jumped, copies, and two recorders under one name: what the times of a recorder say about themselves."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecotf.audio.beginning import find_beginning
from ecotf.surveying.sites import Sites

OVERLAP_S = 5.0
"""Names give whole seconds and headers round: so much of two recordings may lie over each other."""
BACK_S = 60.0
"""A clock is corrected by some seconds while a recorder runs; going back by more is a jump."""


class Checked(NamedTuple):
    """What the clocks say: faults by recording, and a line for each recorder."""

    faults: pd.Series
    notes: tuple[str, ...]


def check_clocks(recordings: pd.DataFrame, sites: Sites, longest_gap_days: float) -> Checked:
    """Find recordings whose time contradicts that of others.

    ``copy``: the same name, beginning and length a second time. ``clock went back``: files of undated names, in the
    order of their names, whose times do not go forward; the longest series that does is kept. ``clock jumped``: a part
    of a recorder's files that lies more than ``longest_gap_days`` from its others, at a time when no other site
    recorded. ``overlap``: recordings of one serial number over each other; both cannot be right. Recordings of
    several or unknown recorders over each other are kept, the effort counts each second once, and it is said.

    Parameters
    ----------
    recordings
        With ``site``, ``moment`` and ``fault`` (`ecotf.surveying.times.add_times`); those
        with a fault are passed over.
    """
    faults = pd.Series("", index=recordings.index, dtype=object)
    notes: list[str] = []
    dated = recordings[(recordings["fault"] == "") & (recordings["site"] != "")].copy()
    if not len(dated):
        return Checked(faults, ())
    dated["name"] = [PurePath(text.replace("\\", "/")).name for text in dated["recording"]]
    dated["folder"] = [str(PurePath(text.replace("\\", "/")).parent) for text in dated["recording"]]
    copies = dated.duplicated(["site", "recorder", "name", "moment", "duration_s"])
    for place, own in dated[copies].groupby("site"):
        notes.append(f"{place!s}: {len(own)} recordings are there twice, as copies; each is taken once")
    faults[dated.index[copies]] = "copy"
    dated = dated[~copies]
    for keys, own in dated.groupby(["site", "recorder"], sort=True):
        site, recorder = map(str, keys)
        who = f"{site} (recorder {recorder})" if recorder else site
        back = _went_back(own)
        if len(back):
            faults[back] = "clock went back"
            notes.append(
                f"{who}: the clock of {len(back)} recordings goes back against the order of their files "
                f"(first {own.at[back[0], 'name']!s}); left out of the history"
            )
        own = own.drop(back)
        others = dated[(dated["site"] != site)]
        for part, days in _far_parts(own, others, longest_gap_days):
            faults[part.index] = "clock jumped"
            first, last = part["local"].min(), part["local"].max()
            notes.append(
                f"{who}: {len(part)} recordings of {first:%Y-%m-%d} to {last:%Y-%m-%d} lie {days:.0f} days from its "
                "others, and no other site recorded then: its clock jumped; left out of the history "
                f"(--longest-gap {days + 1:.0f} keeps them)"
            )
            own = own.drop(part.index)
        over = _overlaps(own)
        if recorder and len(over):
            faults[over] = "overlap"
            notes.append(
                f"{who}: {len(over)} recordings lie over each other in time (first {own.at[over[0], 'name']!s}): its "
                "clock was set back, or another recorder has its number; left out of the history"
            )
    fine = dated[faults[dated.index] == ""]
    notes += _several_recorders(fine, sites)
    return Checked(faults, tuple(notes))


def _several_recorders(dated: pd.DataFrame, sites: Sites) -> list[str]:
    """Say where two recorders share a site that the table does not give them."""
    notes = []
    for site in sorted(set(dated["site"])):
        own = dated[dated["site"] == site]
        counts = own["recorder"].value_counts()
        serials = sorted(set(counts.index) - {""})
        undeclared = set(serials) - sites.serials(site)
        over = len(_overlaps(own))
        if len(serials) > 1 and undeclared:
            listed = ", ".join(f"{serial} ({counts[serial]})" for serial in serials)
            at_once = f", {over} of them at the same time" if over else ", one after the other"
            notes.append(
                f"{site}: recordings of {len(serials)} recorders, {listed}{at_once}; is one of another site? Both are "
                "kept, and each hour counts once; name them in the column recorder of the sites"
            )
        elif over and not (len(serials) > 1):
            notes.append(
                f"{site}: {over} recordings lie over each other in time: two recorders with one name, or a clock that "
                "was set back; all are kept, and each hour counts once"
            )
    return notes


def _went_back(own: pd.DataFrame) -> list[int]:
    """Return the rows whose times break the order of their files; only names that hold no date have an order."""
    broken: list[int] = []
    for _, files in own.groupby("folder", sort=True):
        undated = files[[find_beginning(str(name), ())[0] is None for name in files["name"]]]
        if len(undated) < 2:
            continue
        ordered = undated.iloc[_natural(list(undated["name"]))]
        seconds = ordered["moment"].astype("datetime64[ns]").to_numpy().astype(np.int64) / 1e9
        if (np.diff(seconds) >= -BACK_S).all():
            continue
        kept = _longest_forward(seconds.tolist())
        broken += [int(ordered.index[row]) for row in range(len(seconds)) if row not in kept]
    return broken


def _longest_forward(times: Sequence[float]) -> set[int]:
    """Choose as many times as possible that, in their order, do not go back.

    Examples
    --------
    >>> sorted(_longest_forward([0, 1, 2, -50, -49, 3, 4]))
    [0, 1, 2, 5, 6]
    """
    ends: list[int] = []  # of the series of each length, the one whose last time is the earliest
    before: list[int] = []
    for number, time in enumerate(times):
        length = bisect_right(ends, time, key=lambda row: times[row])
        before.append(ends[length - 1] if length else -1)
        ends[length : length + 1] = [number]
    chosen, at = set(), ends[-1] if ends else -1
    while at >= 0:
        chosen.add(at)
        at = before[at]
    return chosen


def _far_parts(own: pd.DataFrame, others: pd.DataFrame, gap_days: float) -> list[tuple[pd.DataFrame, float]]:
    """Cut a recorder's files at long gaps; return the parts, but for the largest, when no other site recorded."""
    ordered = own.sort_values("moment", kind="stable")
    moments = ordered["moment"]
    gaps = moments.diff().dt.total_seconds().to_numpy() / 86_400
    if len(ordered) < 2 or not len(others) or np.nanmax(gaps) <= gap_days:
        return []
    number = np.cumsum(np.nan_to_num(gaps) > gap_days)
    parts = [part for _, part in ordered.groupby(number)]
    main = max(parts, key=len)
    found = []
    margin = pd.Timedelta(days=1)
    for part in parts:
        first, last = part["moment"].min(), part["moment"].max()
        alone = not others["moment"].between(first - margin, last + margin).any()
        if part is not main and alone:
            away = main["moment"].min() - last if last < main["moment"].min() else first - main["moment"].max()
            found.append((part, away.total_seconds() / 86_400))
    return found


def _overlaps(own: pd.DataFrame) -> list[int]:
    """Return the rows that lie over another one by more than some seconds."""
    ordered = own.dropna(subset=["duration_s"]).sort_values("moment", kind="stable")
    if len(ordered) < 2:
        return []
    start = ordered["moment"].astype("datetime64[ns]").to_numpy().astype(np.int64) / 1e9
    end = start + ordered["duration_s"].to_numpy(float)
    furthest = np.maximum.accumulate(end)
    later = np.flatnonzero(furthest[:-1] - start[1:] > OVERLAP_S) + 1
    # The one that reaches over it: the first whose end is the furthest so far.
    reaching = [int(np.argmax(end[:row] >= furthest[row - 1])) for row in later]
    return [int(ordered.index[row]) for row in sorted({*later.tolist(), *reaching})]


def _natural(names: Sequence[str]) -> list[int]:
    """Order of names, with numbers in them as numbers."""
    keys = [
        [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", n)] for n in names
    ]
    return sorted(range(len(names)), key=lambda number: keys[number])
