"""How much an annotation says: whole recordings that are fully annotated, and labels that are somewhere in a stretch.

Both are optional columns of the manifest (docs/manifest.md). Without them nothing is assumed: time without a label may
hold anything, and a label with a start and an end holds from its start to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.labels import labels_that_match, negations, unnamed_among
from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

FULLY_ANNOTATED = "fully_annotated"
"""``yes``: every event of the recording has its row, so there is none where there is no row."""

WEAK = "weak"
"""``yes``: the label is somewhere between start and end, not from the one to the other."""

_YES, _NO = ("yes", "y", "true", "1", "1.0"), ("no", "n", "false", "0", "0.0", "")


def says_yes(table: pd.DataFrame, column: str) -> np.ndarray:
    """Read a column of yes and no, bool ``[n]``; empty cells and absent columns are no.

    Raises
    ------
    DataError
        A cell is neither.
    """
    if column not in table:
        return np.zeros(len(table), bool)
    text = table[column].where(table[column].notna(), "").astype("str").str.strip().str.lower()
    wrong = ~text.isin([*_YES, *_NO])
    if wrong.any():
        first = table.loc[wrong].iloc[0]
        raise DataError(
            f"recording {first['recording']!r}: {column} is {str(first[column])!r} ({int(wrong.sum())} rows); "
            "allowed are yes, no or an empty cell"
        )
    return np.asarray(text.isin(_YES), bool)


def fully_annotated(table: pd.DataFrame) -> frozenset[str]:
    """Return the recordings in which every event has its row.

    A recording that stands in the manifest without any label, in one row for the whole of it, is one of them: somebody
    has said that nothing is there.

    Raises
    ------
    DataError
        Rows of one recording do not agree.
    """
    said = says_yes(table, FULLY_ANNOTATED)
    names = table["recording"]
    yes, no = set(names[said]), set(names[~said])
    if yes & no:
        raise DataError(
            f"recording {min(yes & no)!r} is fully_annotated in some rows and not in others; write one of them in all"
        )
    empty = (table["label"] == "") & table["end_s"].isna()
    labelled = set(names[~empty])
    return frozenset(yes | (set(names[empty]) - labelled))


def with_nothing_heard(
    manifest: Manifest, ignored: Sequence[str], unnamed: Sequence[str]
) -> tuple[Manifest, list[str]]:
    """Empty the labels of what is no class: stretches in which nothing of interest is.

    Parameters
    ----------
    ignored, unnamed
        Patterns of labels that are no event, and of those of events of unknown species (`data` of a recipe).

    Returns
    -------
    The manifest, and what people are told. ``not_boobook`` says nothing of a pitta. So where there are other classes,
    its rows are left out, and nobody knows what is there; unless their recording is fully annotated.
    """
    table, labels = manifest.table, manifest.labels
    none, absent = set(labels_that_match(labels, ignored)), negations(labels)
    named = set(labels) - none - absent.keys()
    of_any = set(unnamed_among(sorted(named), unnamed))  # where there is none of these, there is none of any class
    classes = named - of_any
    unsure = [
        label for label, other in absent.items() if label not in none and other not in of_any and classes - {other}
    ]
    lost = table["label"].isin(unsure) & ~table["recording"].isin(fully_annotated(table))
    notes = [
        f"{label} says nothing of {', '.join(sorted(classes - {absent[label]})[:3])}: what is there is unknown "
        f"({int((lost & (table['label'] == label)).sum())} annotations)"
        for label in unsure
        if (lost & (table["label"] == label)).any()
    ]
    emptied = table["label"].where(~table["label"].isin([*none, *absent]), "")
    left = Manifest(table.assign(label=emptied)[~lost].reset_index(drop=True), manifest.root)
    gone = sorted(set(manifest.recordings) - set(left.recordings))
    if gone:
        notes.append(f"recordings of which nothing else is known, left out: {len(gone)} ({', '.join(gone[:3])})")
    return left, notes


def half_known(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of recordings in which some stretches are known to have no call, and the rest is not known.

    Those are recordings that are not fully annotated, with rows that have an end and no label.
    """
    full = fully_annotated(table)
    nothing = (table["label"] == "") & table["end_s"].notna()
    names = [name for name in table.loc[nothing, "recording"].unique() if name not in full]
    return {name: table[table["recording"] == name] for name in names}


def in_known_time(starts: ArrayLike, ends: ArrayLike, rows: pd.DataFrame) -> np.ndarray:
    """Say which detections of a recording can be right or wrong, bool ``[n]``.

    ``starts`` and ``ends`` are seconds ``[n]``, ``rows`` those of `half_known`. A detection must touch something with a
    label, or have its middle in a stretch without one: what lies elsewhere may well be a call that nobody has written
    down.
    """
    start, end = (np.asarray(values, float)[:, None] for values in (starts, ends))
    low, high = rows["start_s"].to_numpy(float), rows["end_s"].to_numpy(float)
    there = (rows["label"] != "").to_numpy(bool)
    touches, middle = (start <= high) & (end >= low), (start + end) / 2
    return np.asarray(np.where(there, touches, (middle >= low) & (middle <= high)).any(axis=1))


def known_to_hold_nothing(starts: ArrayLike, ends: ArrayLike, rows: pd.DataFrame) -> np.ndarray:
    """Say which stretches of a recording are all in time that somebody knows to be without a call, bool ``[n]``.

    ``starts`` and ``ends`` are seconds ``[n]``, ``rows`` those of `half_known`.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"start_s": [0.0, 4.0], "end_s": [5.0, 9.0], "label": ["", ""]})
    >>> known_to_hold_nothing(np.array([0.0, 8.0]), np.array([9.0, 12.0]), rows).tolist()
    [True, False]
    """
    empty = rows[rows["label"] == ""]
    begins, until = _joined(empty["start_s"].to_numpy(float), empty["end_s"].to_numpy(float))
    at = np.searchsorted(begins, np.asarray(starts, float), side="right") - 1
    return np.asarray((at >= 0) & (np.asarray(ends, float) <= until[np.maximum(at, 0)]), bool)


def known_seconds(rows: pd.DataFrame, duration_s: float) -> float:
    """Return how much of a recording has annotations, in seconds; ``rows`` are those of `half_known`.

    Examples
    --------
    >>> import pandas as pd
    >>> known_seconds(pd.DataFrame({"start_s": [0.0, 4.0, 8.0], "end_s": [5.0, 6.0, 99.0]}), 10.0)
    8.0
    """
    begins, until = _joined(rows["start_s"].to_numpy(float), rows["end_s"].to_numpy(float))
    return float(np.maximum(np.minimum(until, duration_s) - begins, 0).sum())


def _joined(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts and ends of stretches without a break, in order; what has no end is left out."""
    order = np.argsort(low)
    order = order[np.isfinite(high[order])]
    low, high = low[order], np.maximum.accumulate(high[order])
    begins = np.flatnonzero(np.concatenate([[True], low[1:] > high[:-1]]))
    return low[begins], high[np.concatenate([begins[1:], [len(low)]]) - 1]


def with_full_annotation(table: pd.DataFrame, said: bool = True) -> pd.DataFrame:
    """Say of all recordings that they are fully annotated, or are not."""
    return table.assign(**{FULLY_ANNOTATED: "yes" if said else "no"})
