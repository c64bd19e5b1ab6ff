"""How much an annotation says: whole recordings that are fully annotated, and labels that are somewhere in a stretch.

Both are optional columns of the manifest (docs/manifest.md). Without them nothing is assumed: time without a label may
hold anything, and a label with a start and an end holds from its start to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

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


def with_full_annotation(table: pd.DataFrame, said: bool = True) -> pd.DataFrame:
    """Say of all recordings that they are fully annotated, or are not."""
    return table.assign(**{FULLY_ANNOTATED: "yes" if said else "no"})
