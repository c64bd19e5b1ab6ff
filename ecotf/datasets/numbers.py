"""Numbers as people and programs write them; what could be two numbers is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# Infinity is a number here, so that it is refused as not finite.
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf)", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d*)?)", re.ASCII)


def to_numbers(column: pd.Series, source: str, first_row: int, decimal: str = ".", clock: bool = False) -> pd.Series:
    """Make numbers of a column of text; empty cells become NaN.

    Parameters
    ----------
    source, first_row
        Named in messages; the row is the column's index plus ``first_row``.
    decimal
        ``.`` or ``,``. The other one is in no number: what separates thousands must go.
    clock
        Whether cells are ``h:mm:ss`` from the start of the recording; they become seconds.

    Raises
    ------
    DataError
        A cell is not a number; the message names column, value and row.
    """

    import pandas as pd

    text = column.astype("str").str.strip()
    values = [_number(cell, decimal, clock) for cell in text]
    for cell, value, row in zip(text, values, column.index, strict=True):
        if value is None:
            raise DataError(
                f"{source}: {column.name} is {cell!r} (row {row + first_row}); {_needed(cell, decimal, clock)}"
            )
    return pd.Series(values, index=column.index, name=column.name, dtype="float64")


def number_in(cell: str) -> float | None:
    """Read one number with a decimal point; None where it is none.

    Examples
    --------
    >>> number_in("0.5"), number_in("0,5"), number_in("1_000"), number_in("nan")
    (0.5, None, None, None)
    """
    return float(cell) if _NUMBER.fullmatch(cell) else None


def _number(cell: str, decimal: str, clock: bool) -> float | None:
    if not cell:
        return float("nan")
    if decimal == ",":
        cell = cell.translate({ord("."): "x", ord(","): "."})
    if not clock:
        return number_in(cell)
    parts = _CLOCK.fullmatch(cell)
    return None if parts is None else int(parts[1]) * 3600 + int(parts[2]) * 60 + float(parts[3])


def _needed(cell: str, decimal: str, clock: bool) -> str:
    if clock:
        return "a time as h:mm:ss is needed"
    if decimal == ",":
        return "a number with a decimal comma is needed, without separators of thousands"
    if ":" in cell:
        return "a number of seconds is needed (format csv takes h:mm:ss with the option time_unit=h:mm:ss)"
    if "," in cell:
        return (
            "a number with a decimal point is needed, without separators of thousands "
            "(format csv takes decimal commas with the option decimal=,)"
        )
    return "a number is needed"
