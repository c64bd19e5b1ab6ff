"""Text files and tables as other programs left them: byte-order marks, old encodings, line ends of any system."""

from __future__ import annotations

import codecs
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_CONTROLS = {picture: code for code, picture in _PICTURES.items()}

HEADER_ROWS = 1
FIRST_ROW = 1 + HEADER_ROWS  # rows are numbered as a spreadsheet shows them


def read_text(path: str | Path) -> str:
    """Read a whole text file.

    UTF-8 with or without a byte-order mark, UTF-16 with one (Excel's "Unicode text"), else Latin-1; all line ends
    become ``\\n``.

    Raises
    ------
    DataError
        The file is not there, cannot be read, or is not text.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = content.decode("utf-16")
        else:
            text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:
        raise DataError(f"{path}: not a text file (it holds zero bytes)")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_table(path: str | Path, separator: str = ",") -> pd.DataFrame:
    """Read a table with a header line; every cell stays text, as it stands ("NA" is a label, 007 is a site).

    Returns
    -------
    pandas.DataFrame
        Blank lines are left out; the index plus :data:`FIRST_ROW` is the row in the file.

    Raises
    ------
    DataError
        The file cannot be read, is empty, has a column twice, or a row has more cells than the header.
    """

    import pandas as pd

    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path}: the file is empty; at least a header line is needed")
    try:
        # The header is read as a row, or pandas would rename a repeated column and take surplus cells for an index.
        cells = pd.read_csv(
            StringIO(text), sep=separator, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False
        ).fillna("")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path}: not a valid table: {str(error).strip().split('C error: ')[-1]}") from None
    table = cells.iloc[HEADER_ROWS:].reset_index(drop=True)
    table.columns = pd.Index([name.strip() for name in cells.iloc[0]])
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise DataError(f"{path}: column {twice[0]!r} is there twice; every column needs its own name")
    return table[(table != "").any(axis=1)]


def one_line(text: str) -> str:
    """Write text for a format without quotation: Unicode's pictures stand for line breaks, tabs and their like.

    A tab inside a label would move every cell behind it. :func:`from_one_line` gives the text back.

    Examples
    --------
    >>> one_line("Pip\\tsocial")
    'Pip␉social'
    """
    return text.translate(_PICTURES)


def from_one_line(text: str) -> str:
    """Read back what :func:`one_line` wrote."""
    return text.translate(_CONTROLS)
