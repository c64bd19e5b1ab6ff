"""How long the events of a class are, and the pauses between them, by the annotations: what a finder is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.coverage import WEAK, says_yes

if TYPE_CHECKING:
    import pandas as pd

_FEWEST = 3  # fewer short pauses may be slips of the hand that drew the boxes


def usual_lengths(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    """Compute the median length of each class's events in recordings not tested, seconds.

    Classes without any are left out.

    Parameters
    ----------
    table
        A manifest's with the side of each recording; rows without a length, and labels that are only somewhere in a
        stretch, say nothing.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("a.wav", 1.0, 1.5, "owl", "train"), ("b.wav", 1.0, 9.0, "owl", "test")]
    >>> usual_lengths(pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "split"]), ["owl", "wren"])
    {'owl': 0.5}
    """
    table = table[(table["end_s"] > table["start_s"]) & ~says_yes(table, WEAK) & (table["split"] != "test")]
    lengths = (table["end_s"] - table["start_s"]).groupby(table["label"]).median()
    return {name: float(lengths[name]) for name in classes if name in lengths.index}


def joined_pauses(table: pd.DataFrame, classes: Sequence[str], shortest_s: float) -> dict[str, float]:
    """Compute for each class the part of its pauses that are shorter than ``shortest_s``, or none at all.

    Parameters
    ----------
    table
        A manifest's; rows without an end, and labels that are only somewhere in a stretch, say nothing of pauses.

    Returns
    -------
    Class to part, from 0 to 1; 0 where fewer than three pauses are so short.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("a.wav", at, at + 0.5, "piha") for at in (0.0, 0.5, 1.0, 1.5, 9.0)]
    >>> joined_pauses(pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]), ["piha"], 0.08)
    {'piha': 0.75}
    """
    table = table[(table["end_s"] > table["start_s"]) & ~says_yes(table, WEAK)]
    return {name: _joined(table[table["label"] == name], shortest_s) for name in classes}


def most_joined(table: pd.DataFrame, classes: Sequence[str], frame_s: float) -> float:
    """Return the greatest part of a class's pauses that are shorter than two frames, in recordings not tested."""
    untested = table[table["split"] != "test"]
    return max(joined_pauses(untested, classes, 2 * frame_s).values(), default=0.0)


def _joined(events: pd.DataFrame, shortest_s: float) -> float:
    pauses: list[float] = []
    for _, own in events.drop_duplicates(["recording", "start_s", "end_s"]).groupby("recording"):
        own = own.sort_values("start_s")
        heard_until = np.maximum.accumulate(own["end_s"].to_numpy(float))
        pauses += (own["start_s"].to_numpy(float)[1:] - heard_until[:-1]).tolist()
    short = int(np.sum(np.array(pauses) < shortest_s - 1e-9))
    return short / len(pauses) if short >= _FEWEST else 0.0
