"""Check a table of annotations before training; all checks are on whole columns."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.numbers import number_in
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("recording", "start_s", "end_s", "low_hz", "high_hz", "label", "weight", "group", "split")
SPLITS = ("", "train", "valid", "test")

_REQUIRED = ("recording", "start_s", "end_s", "label")
_NUMBERS = ("start_s", "end_s", "low_hz", "high_hz", "weight", "time_expansion", "duration_s")
_TEXTS = ("recording", "label", "group", "split")


def check_table(table: pd.DataFrame, root: Path, source: str, first_row: int) -> pd.DataFrame:
    """Return the table with all of :data:`COLUMNS`, proper types and a fresh index, or raise one clear error.

    Parameters
    ----------
    table
        Text or numbers; its index says which row of the source a row was.
    root, source, first_row
        As in :func:`ecotf.datasets.manifest.make_manifest`.

    Raises
    ------
    DataError
        One line: what is wrong, in which rows, and what is allowed.
    """
    table = table.rename(columns=lambda name: str(name).strip())
    missing = [name for name in _REQUIRED if name not in table.columns]
    if missing:
        raise DataError(
            f"{source}: column {missing[0]!r} is missing; needed are {', '.join(_REQUIRED)}; found are "
            f"{', '.join(map(str, table.columns[:12])) or 'none'}"
        )
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise DataError(f"{source}: column {twice[0]!r} is there twice; every column needs its own name")
    rows = _Rows(source, np.asarray(table.index) + first_row)
    table = table.reset_index(drop=True)

    for name in COLUMNS:
        if name not in table.columns:
            table[name] = "" if name in _TEXTS else np.nan
    for name in _TEXTS:
        table[name] = _as_text(table[name])
    for name in _NUMBERS:
        if name in table.columns:
            table[name] = _as_numbers(table[name], rows)
    # A letter with its accent is one, whichever of its two spellings in Unicode a program chose.
    table["label"] = [unicodedata.normalize("NFC", label.strip()) for label in table["label"]]
    table["weight"] = table["weight"].fillna(1.0)
    table["group"] = table["group"].where(table["group"] != "", table["recording"])

    _check_values(table, rows)
    _check_recordings_agree(table, root, rows)
    _check_split(table, source)
    extras = [name for name in table.columns if name not in COLUMNS]
    return table[[*COLUMNS, *extras]]


class _Rows:
    """Knows which row of the source each row is, and refuses rows by those numbers."""

    def __init__(self, source: str, numbers: np.ndarray) -> None:
        self.source = source
        self.numbers = numbers

    def refuse(self, bad: pd.Series, what: Callable[[int], str], allowed: str) -> None:
        """Raise if any of ``bad`` is true; ``what`` describes the first such row."""
        where = np.flatnonzero(bad.to_numpy())
        if len(where) == 0:
            return
        numbers = ", ".join(str(self.numbers[i]) for i in where[:3])
        more = ", ..." if len(where) > 3 else ""
        rows = f"row {numbers}" if len(where) == 1 else f"{len(where)} rows: {numbers}{more}"
        raise DataError(f"{self.source}: {what(int(where[0]))} ({rows}); {allowed}")

    def refuse_values(self, bad: pd.Series, column: pd.Series, allowed: str) -> None:
        """Raise if any of ``bad`` is true, quoting the value that ``column`` has there."""
        self.refuse(bad, lambda i: f"{column.name} is {_quote(column.iloc[i])}", allowed)


def _quote(value: object) -> str:
    if isinstance(value, float):
        return "empty" if np.isnan(value) else f"{value:g}"
    return "empty" if value == "" else repr(value)


def _as_text(column: pd.Series) -> pd.Series:
    return column.astype("str").where(column.notna(), "")


def _as_numbers(column: pd.Series, rows: _Rows) -> pd.Series:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        numbers = column.astype("float64")
    else:
        text = _as_text(column).str.strip()
        parsed = [float("nan") if cell == "" else number_in(cell) for cell in text]
        bad = pd.Series([value is None for value in parsed], index=column.index)
        comma = text[bad].str.contains(",").any()
        rows.refuse_values(bad, text, f"a number{' with a decimal point' if comma else ''} is needed")
        numbers = pd.Series(parsed, index=column.index, name=column.name, dtype="float64")
    rows.refuse_values(numbers.abs() == np.inf, numbers, "a finite number is needed")
    return numbers


def _check_values(table: pd.DataFrame, rows: _Rows) -> None:
    start, end, low, high = (table[name] for name in ("start_s", "end_s", "low_hz", "high_hz"))
    rows.refuse_values(table["recording"] == "", table["recording"], "the path of an audio file is needed")
    rows.refuse_values(start.isna(), start, "a time in seconds is needed")
    for time in (start, end):
        rows.refuse_values(time < 0, time, "a time of at least 0 s is needed")
    rows.refuse_values(
        end.isna() & (start != 0) & (table["label"] != ""),
        end,
        "a time is needed; it may be empty only where start_s is 0 (a label for the whole recording)",
    )
    rows.refuse(
        end < start,
        lambda i: f"start_s is {start[i]:g} and end_s is {end[i]:g}",
        "an annotation must not end before it starts",
    )
    for frequency in (low, high):
        rows.refuse_values(frequency < 0, frequency, "a frequency of at least 0 Hz is needed")
    rows.refuse(
        low > high, lambda i: f"low_hz is {low[i]:g} and high_hz is {high[i]:g}", "low_hz must not be above high_hz"
    )
    rows.refuse_values(table["weight"] < 0, table["weight"], "a weight of at least 0 is needed")
    rows.refuse_values(
        ~table["split"].isin(SPLITS), table["split"], f"allowed are {', '.join(SPLITS[1:])} or an empty cell"
    )
    if "time_expansion" in table.columns:
        factor = table["time_expansion"]
        rows.refuse_values(factor <= 0, factor, "a factor above 0 is needed (10 for ten times slower than life)")


def _check_recordings_agree(table: pd.DataFrame, root: Path, rows: _Rows) -> None:
    """One file must have one name, one group and one time expansion, or a split could cut through it unseen."""
    pairs = table[["recording", "group"]].drop_duplicates()
    second = pairs["recording"].duplicated()
    if second.any():
        recording = pairs.loc[second, "recording"].iloc[0]
        groups = pairs.loc[pairs["recording"] == recording, "group"].tolist()
        raise DataError(
            f"{rows.source}: recording {recording!r} is in two groups, {groups[0]!r} and {groups[1]!r}; one is allowed"
        )
    if "time_expansion" in table.columns:
        pairs = table.loc[table["time_expansion"].notna(), ["recording", "time_expansion"]].drop_duplicates()
        second = pairs["recording"].duplicated()
        if second.any():
            recording = pairs.loc[second, "recording"].iloc[0]
            raise DataError(f"{rows.source}: recording {recording!r} has two values of time_expansion; one is allowed")
    spelled: dict[str, str] = {}
    base = os.path.abspath(root)
    for recording in table["recording"].unique():
        same = os.path.normpath(os.path.join(base, recording.replace("\\", "/")))
        other = spelled.setdefault(same, recording)
        if other != recording:
            raise DataError(f"{rows.source}: {other!r} and {recording!r} are the same file; write it in one way")


def _check_split(table: pd.DataFrame, source: str) -> None:
    pairs = table[["group", "split"]].drop_duplicates()
    leaking = pairs["group"].duplicated()
    if leaking.any():
        group = pairs.loc[leaking, "group"].iloc[0]
        sides = [side or "(none)" for side in pairs.loc[pairs["group"] == group, "split"]]
        raise DataError(
            f"{source}: group {group!r} is on more than one side of the split ({', '.join(sides)}); "
            "all rows of a group must be on the same side"
        )
