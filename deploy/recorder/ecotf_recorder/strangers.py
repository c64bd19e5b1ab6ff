"""Text of strangers in cells of spreadsheets, and on terminals."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_HIDDEN = (*range(0x80, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_SHOWN = PICTURES | dict.fromkeys(_HIDDEN, 0xFFFD)


def as_cell(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet would take for a formula; numbers stay as they are.

    Text that has such an apostrophe gets one more, so that :func:`from_cell` gives every text back.

    Examples
    --------
    >>> as_cell("=1+1"), as_cell("-1.5"), as_cell(-1.5)
    ("'=1+1", '-1.5', -1.5)
    """
    if not isinstance(value, str) or not _FORMULA.match(value) or _is_number(value):
        return value
    return f"'{value}"


def from_cell(text: str) -> str:
    """Read back what :func:`as_cell` wrote.

    Examples
    --------
    >>> from_cell("'=1+1"), from_cell("it's")
    ('=1+1', "it's")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def on_one_line(text: object) -> str:
    r"""Write text so that a terminal only shows it: pictures stand for line ends, escapes and other controls.

    Characters that turn the direction of what is around them, or that no terminal shows, become a replacement
    character.

    Examples
    --------
    >>> on_one_line("two\nlines")
    'two␊lines'
    """
    return str(text).translate(_SHOWN)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
