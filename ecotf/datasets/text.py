"""Text files as other programs left them: byte-order marks, encodings, line ends of any system."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from ecotf.errors import DataError
from ecotf.strangers import PICTURES

_CONTROLS = {picture: code for code, picture in PICTURES.items()}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: str | Path, encoding: str | None = None) -> str:
    """Read a whole text file, its line ends as they are.

    Parameters
    ----------
    encoding
        How the text was saved, where it is not UTF-8 or UTF-16: ``windows-1252``, ``mac_roman``, ... Without it, other
        text is refused: the same byte is "\u00e9" in one encoding and another letter in the next.

    Raises
    ------
    DataError
        The file is not there, cannot be read, is no text, or is in an encoding that must be stated.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    chosen = encoding or _encoding_of(content)
    try:
        text = content.decode(chosen)
    except LookupError:
        raise DataError(f"{path}: encoding {encoding!r} is not known; try utf-8, windows-1252 or mac_roman") from None
    except UnicodeDecodeError as error:
        raise DataError(_not_text(path, content, error, encoding)) from None
    if "\0" in text:
        raise DataError(f"{path}: not a text file (it holds zero bytes)")
    return text.removeprefix("\ufeff")


def lines_of(text: str) -> list[str]:
    """Split text at the line ends of any system."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _encoding_of(content: bytes) -> str:
    """UTF-8, or what a byte-order mark says; UTF-16 without one has a zero in every other byte of plain letters."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    even, odd = content[:4096:2], content[1:4096:2]
    if odd.count(0) > len(odd) / 2 and not even.count(0):
        return "utf-16-le"
    if even.count(0) > len(even) / 2 and not odd.count(0):
        return "utf-16-be"
    return "utf-8"


def _not_text(path: Path, content: bytes, error: UnicodeDecodeError, stated: str | None) -> str:
    if stated is not None:
        return f"{path}: is not {stated} (byte {error.start}: {error.reason})"
    if error.encoding != "utf-8" or b"\0" in content:
        return f"{path}: not a text file, or cut off ({error.encoding}, byte {error.start}: {error.reason})"
    line = content.count(b"\n", 0, error.start) + 1
    piece = content[max(0, error.start - 20) : error.start + 20].decode("windows-1252", "replace")
    near = next(part for part in re.split(r"[\r\n\t,;]", piece) if not part.isascii()).strip()
    return (
        f"{path}: line {line} is not UTF-8; save it as UTF-8, or, if this part is right: {near!r}, give the option "
        "encoding=windows-1252"
    )


def one_line(text: str) -> str:
    """Write text for a format without quotation: Unicode's pictures stand for line breaks, tabs and their like.

    A tab inside a label would move every cell behind it. :func:`from_one_line` gives the text back.

    Examples
    --------
    >>> one_line("Pip\\tsocial")
    'Pip␉social'
    """
    return text.translate(PICTURES)


def from_one_line(text: str) -> str:
    """Read back what :func:`one_line` wrote."""
    return text.translate(_CONTROLS)
