"""The page of a survey: one HTML file with its pictures, and the best clip of each species and site to hear."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from ecotf.errors import EcotfError
from ecotf.reports.cards import played
from ecotf.reports.page import html_page
from ecotf.reports.sounds import read_excerpt
from ecotf.reports.text import number, quoted, seconds, shown
from ecotf.surveying.accumulation import ORDERS, accumulate
from ecotf.surveying.activity import activity_picture
from ecotf.surveying.pictures import accumulation_picture, effort_picture, history_picture
from ecotf.surveying.survey import Survey
from ecotf.tasks.reported import Place

NAME = "survey.html"
_ULTRASOUND_HZ = 20_000.0
_BIRDS_HZ = (0.0, 12_000.0)


def write_page(survey: Survey, folder: Path, names: dict[str, str]) -> None:
    """Write the page and, as files of their own, its pictures.

    Parameters
    ----------
    folder
        It is there already.
    names
        A file's name for each label (`ecotf.surveying.folder.file_names`).
    """
    pictures = folder / "pictures"
    pictures.mkdir()
    effort, grown = effort_picture(survey), accumulate(survey)
    drawn = {"effort": effort, "accumulation": accumulation_picture(grown)}
    parts = [
        _head(survey), _said(survey), "<h2>Effort</h2>", _effort_text(survey), _wide(effort), _sites_table(survey),
        "<h2>Species</h2>", _passes_table(survey),
    ]  # fmt: skip
    clips = best_clips(survey)
    for count, label in enumerate(survey.labels):
        activity, history = activity_picture(survey, label, f"a{count}"), history_picture(survey, label, f"h{count}")
        drawn |= {f"activity_{names[label]}": activity, f"history_{names[label]}": history}
        parts.append(_species(survey, label, activity, history, clips))
    parts += [_accumulation_text(len(grown.species)), _wide(drawn["accumulation"])]
    for name, picture in drawn.items():
        (pictures / f"{name}.svg").write_text(picture, encoding="utf-8")
    (folder / NAME).write_text(html_page("Survey", "".join(parts)), encoding="utf-8")


def best_clips(survey: Survey) -> pd.DataFrame:
    """Return the best detection of each label and site; of too many, first the best of every label."""
    best = survey.detections.sort_values("score", ascending=False, kind="stable").drop_duplicates(["label", "site"])
    turn = best.groupby("label").cumcount()
    chosen = best.assign(turn=turn).sort_values(["turn", "label"], kind="stable").head(survey.options.clips)
    return chosen.sort_values(["label", "site"])


def _head(survey: Survey) -> str:
    from ecotf import __version__

    days = survey.days
    first, last = days["day"].min(), days["day"].max()
    whole = "a night counts to the date of its evening" if survey.options.day == "noon" else "days begin at midnight"
    models = " and ".join(sorted({str(model.get("title", "")) for model in survey.models.values()}))
    return (
        f'<h1>Survey of {len(survey.sites.names)} sites</h1><p class="made">made by ecotf {__version__} on '
        f"{datetime.now():%Y-%m-%d %H:%M}; heard by {shown(models)}</p><p>{first:%-d %B %Y} to {last:%-d %B %Y}: "
        f"<b>{days['recorded_h'].sum():.1f} hours</b> recorded, <b>{len(survey.labels)}</b> labels found in "
        f"{len(survey.detections)} detections, {int(survey.detections['begins'].sum())} passes (calls less than "
        f"{survey.options.pass_gap_s:g} s apart); {whole}.</p>"
    )


def _said(survey: Survey) -> str:
    lines = [*survey.unknown_sites, *survey.notes]
    if survey.left_out:
        counts = ", ".join(f"{reason} {count}" for reason, count in survey.left_out.items())
        number_of = sum(survey.left_out.values())
        lines.insert(0, f"{number_of} of {len(survey.recordings)} recordings are in nothing below: {counts}.")
    return "".join(f'<p class="warning">{quoted(line)}</p>' for line in lines)


def _effort_text(survey: Survey) -> str:
    states = survey.days["state"].value_counts()
    counts = ", ".join(f"{states.get(state, 0)} {state}" for state in ("recorded", "silent", "broken", "nothing"))
    return (
        f"<p>Of {len(survey.days)} days of a site: {counts}. Only on recorded days can a species be heard or missed; "
        "the others are NA in every history. A corner in the colour of broken files: some of that day were broken.</p>"
    )


def _sites_table(survey: Survey) -> str:
    rows = []
    for site, own in survey.days.groupby("site", sort=False):
        counts = own["state"].value_counts()
        cells = "".join(f"<td>{counts.get(s, 0)}</td>" for s in ("recorded", "silent", "broken", "nothing"))
        rows.append(
            f'<tr><th scope="row">{shown(site)}</th><td>{own["recorded_h"].sum():.1f}</td>{cells}'
            f"<td>{int(own['broken'].sum())}</td></tr>"
        )
    heads = ("site", "hours recorded", "days recorded", "silent", "broken", "nothing", "broken files")
    return _table(heads, rows)


def _passes_table(survey: Survey) -> str:
    passes = survey.detections[survey.detections["begins"]].groupby(["label", "site"]).size()
    nights = survey.days[survey.days["state"] == "recorded"].groupby("site").size()
    rows = []
    for label in survey.labels:
        cells = []
        for site in survey.sites.names:
            count = int(passes.get((label, site), 0))
            cells.append(f"<td>{count / nights[site]:.1f}</td>" if site in nights.index else "<td>NA</td>")
        rows.append(f'<tr><th scope="row">{shown(label)}</th>{"".join(cells)}</tr>')
    heads = ("passes on a recorded day", *survey.sites.names)
    return _table(heads, rows)


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{shown(name)}</th>' for name in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _species(survey: Survey, label: str, activity: str, history: str, clips: pd.DataFrame) -> str:
    own = survey.detections[survey.detections["label"] == label]
    known = survey.histories[label].to_numpy(float, na_value=math.nan)
    heard, judged = int((known == 1).sum()), int((known >= 0).sum())
    chosen = clips[clips["label"] == label]
    sites = own["site"].nunique()
    hidden = f", {len(chosen)} of {sites} sites" if len(chosen) < sites else ""
    cards = "".join(_card(row, survey.time_expansion) for row in chosen.to_dict("records"))
    return (
        f"<h3>{shown(label)}</h3><p>{len(own)} detections, {int(own['begins'].sum())} passes; heard in {heard} of "
        f"{judged} recorded occasions ({survey.options.occasion}).</p>{_wide(activity)}{_wide(history)}"
        f'<p class="none">The detection with the greatest score at each site{hidden}:</p>'
        f'<div class="cards">{cards}</div>'
    )


def _card(row: dict[Any, Any], time_expansion: float | None) -> str:
    low, high = float(row["low_hz"]), float(row["high_hz"])
    band = (max(0.0, low - 0.4 * (high - low)), high + 0.4 * (high - low)) if low < high else _BIRDS_HZ
    around = 0.15 if band[1] > _ULTRASOUND_HZ else 0.5
    start, end = float(row["start_s"]), float(row["end_s"])
    path = row["path"] if os.path.exists(row["path"]) else row["recording"]
    place = Place(
        row["recording"], Path(path), time_expansion, max(0.0, start - around), end + around, (start, end, low, high)
    )
    try:
        channel = row["channel"]
        media = played(
            read_excerpt(place, band, "mix" if channel is None or channel != channel else int(channel), True), place
        )
    except EcotfError as error:
        media = f'<div class="gone">{quoted(error)}</div>'
    name = PurePath(row["recording"].replace("\\", "/")).name
    return (
        f'<article class="card" tabindex="0" aria-label="{quoted(row["site"])}, {quoted(name)}">{media}'
        f'<div class="facts"><p class="what"><b>{shown(row["site"])}</b>, {row["local"]:%-d %b %Y %H:%M:%S}, score '
        f'{number(row["score"])}</p><p class="where" title="{quoted(row["recording"])}">{shown(name)}, '
        f"{seconds(start)} to {seconds(end)}</p></div></article>"
    )


def _accumulation_text(count: int) -> str:
    return (
        f"<h2>How the number of species grows</h2><p>{count} named species. The line is the mean of {ORDERS} random "
        "orders of the recorded days of all sites, the band holds 95 % of them. A line that still climbs says that "
        "more days would find more species.</p>"
    )


def _wide(picture: str) -> str:
    return f'<div class="wide">{picture}</div>'
