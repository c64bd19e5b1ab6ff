"""Tables as other programs left them: every line that is there is read, or the table is refused."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.datasets.text import lines_of, read_text
from ecotf.errors import DataError
from ecotf.strangers import from_cell

if TYPE_CHECKING:
    import pandas as pd

HEADER_ROWS = 1
FIRST_ROW = 1 + HEADER_ROWS  # rows are numbered as a spreadsheet shows them
SEPARATORS = (",", ";", "\t")
_EXCEL_LINE = re.compile(r"\A\"?sep=(.)\"?\r?\n", re.IGNORECASE)


def read_table(
    path: str | Path, separator: str | None = None, *, quoted: bool = True, encoding: str | None = None
) -> pd.DataFrame:
    """Read a table with a header line; every cell stays text, as it stands ("NA" is a label, 007 is a site).

    Parameters
    ----------
    separator
        What stands between cells; by default the one of comma, semicolon and tab that the header has, or the one that
        Excel's line ``sep=;`` names.
    quoted
        Whether quotation marks around a cell are no part of it. Without, they are text, unless the header has them or
        a spreadsheet put them there.
    encoding
        As for :func:`ecotf.datasets.text.read_text`.

    Returns
    -------
    pandas.DataFrame
        Blank lines are left out; the index plus :data:`FIRST_ROW` is the row in the file.

    Raises
    ------
    DataError
        The file cannot be read, is empty, has a column twice or one without a name, a row has more or fewer cells than
        the header, or a quotation mark swallows rows.
    """
    text = read_text(path, encoding)
    stated = _EXCEL_LINE.match(text)
    if stated:
        text, separator = text[stated.end() :], separator or stated[1]
    if not text.strip():
        raise DataError(f"{path}: the file is empty; at least a header line is needed")
    text = text.lstrip("\r\n")
    separator = separator or _separator_of(text, path)
    if len(separator) != 1:
        raise DataError(f"{path}: separator is {separator!r}; one character is needed, for example ; or a tab")
    header = lines_of(text)[0]
    names = [cell.strip() for cell in header.split(separator)]
    if quoted or all(len(name) > 1 and name[0] == name[-1] == '"' for name in names):
        rows = _quoted_rows(text, separator, path)
    else:
        rows = [line.split(separator) for line in lines_of(text)]
        if "Detection Score" not in names:  # ecotf's own tables have no quotation
            rows = _without_spreadsheet_quotes(rows)
    return _framed(rows, path)


def _separator_of(text: str, path: str | Path) -> str:
    header = lines_of(text)[0]
    there = [separator for separator in SEPARATORS if separator in header]
    if len(there) > 1:
        # A comma inside of a name, as in "position, s;label": rows of equal length show it.
        lines = [line for line in lines_of(text) if line.strip()]
        there = [one for one in there if len({len(cells) for cells in csv.reader(lines, delimiter=one)}) == 1]
    if len(there) > 1 or (not there and any(one in header for one in SEPARATORS)):
        raise DataError(f"{path}: commas, semicolons or tabs could separate its cells; say which with separator=")
    return there[0] if there else ","


def _quoted_rows(text: str, separator: str, path: str | Path) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    try:
        for cells in reader:
            rows.append([from_cell(cell) for cell in cells])
            for cell in cells:
                breaks = len(lines_of(cell)) - 1
                if breaks and len(rows[0]) > 1 and cell.count(separator) >= breaks * (len(rows[0]) - 1):
                    raise DataError(
                        f"{path}: a quotation mark opens in row {len(rows)} and closes {breaks} lines below, with "
                        "rows between; take it out, or double it and put the whole cell in quotation marks"
                    )
    except csv.Error as error:
        raise DataError(
            f"{path}: quotation marks do not fit in row {len(rows) + 1}, up to line {reader.line_num} ({error}); a "
            "cell that begins with one must end with one, and those inside are doubled"
        ) from None
    return rows


def _without_spreadsheet_quotes(rows: Sequence[list[str]]) -> list[list[str]]:
    """Take off the marks that Excel puts around cells with commas or marks in tables with tabs (inner ones doubled)."""
    marked = [cell for row in rows for cell in row if '"' in cell]
    inside = [cell[1:-1] for cell in marked if len(cell) > 1 and cell[0] == cell[-1] == '"']
    if len(inside) < len(marked) or not all(
        ('"' in cell or "," in cell) and '"' not in cell.replace('""', "") for cell in inside
    ):
        return list(rows)
    return [[cell[1:-1].replace('""', '"') if '"' in cell else cell for cell in row] for row in rows]


def _framed(rows: Sequence[list[str]], path: str | Path) -> pd.DataFrame:
    import pandas as pd

    names = [name.strip() for name in rows[0]]
    kept = {number: cells for number, cells in enumerate(rows[HEADER_ROWS:]) if any(cell.strip() for cell in cells)}
    for number, cells in kept.items():
        surplus = cells[len(names) :]
        if len(cells) < len(names) or any(cell.strip() for cell in surplus):
            raise DataError(
                f"{path}: row {number + FIRST_ROW} has {len(cells)} cells, the header has {len(names)}; each row needs "
                "as many as the header (is the separator inside of a cell, or the row cut off?)"
            )
    table = pd.DataFrame(
        [cells[: len(names)] for cells in kept.values()], index=list(kept), columns=range(len(names)), dtype=str
    )
    columns = [number for number, name in enumerate(names) if name or not _is_nothing(table, number, path)]
    table = table[columns]
    table.columns = pd.Index([names[number] for number in columns])
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise DataError(f"{path}: column {twice[0]!r} is there twice; every column needs its own name")
    return table


def _is_nothing(table: pd.DataFrame, number: int, path: str | Path) -> bool:
    """Whether a column without a name has nothing in it, or only the numbers of rows that R and pandas put first."""
    cells = table[number]
    filled = cells[cells.str.strip() != ""]
    counted = [[str(i + first) for i in range(len(table))] for first in (0, 1)]
    if filled.empty or (number == 0 and cells.tolist() in counted):
        return True
    raise DataError(
        f"{path}: column {number + 1} has no name, but row {filled.index[0] + FIRST_ROW} has {filled.iloc[0]!r} in it; "
        "name the column, or take it out"
    )
