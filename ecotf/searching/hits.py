"""Hits: the rows that were found, as stretches of recordings with their time of day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecotf.audio.beginning import Began, iso_time
from ecotf.audio.recording import open_recording
from ecotf.embeddings.store import Embeddings
from ecotf.errors import EcotfError
from ecotf.searching.nearest import Ranked

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Hit:
    """A stretch of a recording.

    Attributes
    ----------
    row
        Of the table of embeddings: its best window.
    """

    row: int
    score: float
    recording: str
    start_s: float
    end_s: float


def first_hits(
    embeddings: Embeddings, find: Callable[[int], Ranked], top: int, merge: bool = False
) -> tuple[list[Hit], int]:
    """Return the first ``top`` hits, and how many rows have no score.

    Parameters
    ----------
    find
        Gives the best ``k`` rows.
    merge
        Windows of one recording that overlap or touch are one hit, with the score and the row of the best of them. It
        takes in all windows that are ranked before the hit behind the last would begin.
    """
    k = 4 * top if merge else top
    while True:
        found = find(k)
        hits, whole = _gathered(embeddings, found, top, merge)
        if whole or len(found.rows) < k or k >= len(embeddings):
            return hits, found.without
        k *= 4


def _gathered(embeddings: Embeddings, found: Ranked, top: int, merge: bool) -> tuple[list[Hit], bool]:
    """Make hits of ranked rows; the second value is whether more rows would not change them."""
    hits: list[Hit] = []
    table = embeddings.table.iloc[found.rows]
    columns = (found.rows, found.scores, table["recording"], table["start_s"], table["end_s"])
    for row, score, recording, start_s, end_s in zip(*columns, strict=True):
        one = Hit(int(row), float(score), str(recording), float(start_s), float(end_s))
        near = [hit for hit in hits if merge and _overlap(hit, one)]
        if not near:
            if len(hits) == top:
                return hits, True
            hits.append(one)
            continue
        first = near[0]
        first.start_s = min(first.start_s, *(hit.start_s for hit in [*near, one]))
        first.end_s = max(first.end_s, *(hit.end_s for hit in [*near, one]))
        hits = [hit for hit in hits if hit is first or not any(hit is other for other in near)]
    return hits, not merge and len(hits) == top


def _overlap(a: Hit, b: Hit) -> bool:
    return a.recording == b.recording and a.start_s <= b.end_s and b.start_s <= a.end_s


def hit_table(embeddings: Embeddings, hits: list[Hit]) -> pd.DataFrame:
    """Return ``rank, recording, start_s, end_s, score, time, row``, and ``label`` where the embeddings have one.

    ``time`` is the date and time of the start; empty where the recording does not say it, or is not there any more.
    """
    import pandas as pd

    known: dict[str, Began | None] = {}
    for hit in hits:
        if hit.recording not in known:
            known[hit.recording] = began(embeddings, hit.recording)
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(hits) + 1),
            "recording": [hit.recording for hit in hits],
            "start_s": [hit.start_s for hit in hits],
            "end_s": [hit.end_s for hit in hits],
            "score": np.array([hit.score for hit in hits], np.float64).round(6),
            "time": [iso_time(known[hit.recording], hit.start_s) for hit in hits],
            "row": np.array([hit.row for hit in hits], np.int64),
        }
    )
    if "label" in embeddings.table:
        table.insert(5, "label", embeddings.table["label"].iloc[[hit.row for hit in hits]].to_numpy())
    return table


def began(embeddings: Embeddings, recording: str) -> Began | None:
    """Find when a recording began; None where nothing says it, or it is not there any more."""
    path = embeddings.paths.get(recording)
    try:
        return None if path is None else open_recording(path).began
    except (EcotfError, OSError):
        return None
