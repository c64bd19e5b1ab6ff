"""What labels mean: which of them are bat calls, and the label of a call whatever its species."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import pandas as pd

CALL_LABEL = "call"
"""The label of candidates that say that a bat called, whatever its species."""

IGNORED_LABELS = (
    "noise*",
    "insect*",
    "orthoptera*",
    "bush-cricket*",
    "bird*",
    "*(bird)*",
    "rain*",
    "not call",
    "ignored_labels",
)
"""Patterns of labels that are annotated but are no bat calls."""

BACKGROUND_ROLE = "background"
"""What the manifest's column ``role`` says of recordings that are there to be mixed into others."""


def is_background(table: pd.DataFrame) -> pd.Series:
    """Whether each row of a manifest's table is of a recording that is there to be mixed into others."""
    if "role" not in table:
        return pd.Series(False, index=table.index)
    return table["role"].fillna("") == BACKGROUND_ROLE


def labels_that_match(labels: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The labels that match any of the shell patterns, whatever their case, in order and without repeats."""
    lowered = [pattern.lower() for pattern in patterns]
    return [label for label in dict.fromkeys(labels) if any(fnmatchcase(label.lower(), pattern) for pattern in lowered)]
