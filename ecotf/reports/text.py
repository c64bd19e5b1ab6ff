"""Text of users as HTML: nothing in a name is ever markup."""

from __future__ import annotations

import html
import math

from ecotf.strangers import PICTURES

NONE = "–"


def shown(text: object) -> str:
    r"""Escape text, with control characters as symbols, kept apart from the direction of the text around it.

    Examples
    --------
    >>> shown('Bat <"A"\n')
    '<bdi>Bat &lt;&quot;A&quot;␊</bdi>'
    """
    return f"<bdi>{quoted(text)}</bdi>"


def quoted(text: object) -> str:
    """Escape text for an attribute or a title, where no element may stand."""
    readable = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return html.escape(readable.translate(PICTURES), quote=True)


def number(value: float | None, digits: int = 3) -> str:
    """Write a figure; a dash where there is none.

    Examples
    --------
    >>> number(0.12345), number(None)
    ('0.123', '–')
    """
    return NONE if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def bounds(low: float | None, high: float | None) -> str:
    """Write an interval; nothing where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{low:.2f}, {high:.2f}]"


def seconds(value: float) -> str:
    """Write a time in a recording as ``m:ss.s``, or as seconds below a minute.

    Examples
    --------
    >>> seconds(5.0), seconds(3723.25)
    ('5.00 s', '62:03.25')
    """
    return f"{value:.2f} s" if value < 60 else f"{int(value // 60)}:{value % 60:05.2f}"
