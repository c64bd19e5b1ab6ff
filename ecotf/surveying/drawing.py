"""Parts of the survey's pictures: SVG by hand, which stands in the page and as a file of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from ecotf.reports.text import quoted
from ecotf.surveying.effort import BROKEN, NOTHING, SILENT

INK, GRID, PAPER = "#333333", "#d5d5d5", "#ffffff"
BLUES = ("#dcebf5", "#a9cfe8", "#66a9d6", "#2a7fbd", "#0b4f85")
"""From little to much; seen by people who tell no red from green, and in grey."""
GREYS = ("#ffffff", "#e3e3e3", "#c6c6c6")
"""Effort: all sites recorded, half or more, fewer."""
_FILL = {SILENT: "#f6d55c", BROKEN: "#d55e00", NOTHING: "#fafafa"}
WORDS = {
    SILENT: "silent: the recorder ran and heard nothing, not even noise",
    BROKEN: "broken: files that cannot be used",
    NOTHING: "nothing: no recording",
}

Box = tuple[float, float, float, float]
"""``x, y, width, height`` in the picture's units."""


def svg(width: float, height: float, parts: Iterable[str], about: str, prefix: str) -> str:
    """Put parts into a picture; ``prefix`` keeps its patterns apart from those of others on a page."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'style="max-width:100%;height:auto" role="img" aria-label="{quoted(about)}" '
        f'font-family="system-ui, DejaVu Sans, sans-serif" font-size="11">{_patterns(prefix)}{"".join(parts)}</svg>'
    )


def _patterns(prefix: str) -> str:
    """Silent is striped level, broken crossed, nothing dotted: three things also without colour."""
    return (
        f'<defs><pattern id="{prefix}-{SILENT}" width="4" height="4" patternUnits="userSpaceOnUse">'
        f'<rect width="4" height="4" fill="{_FILL[SILENT]}"/>'
        f'<path d="M0 2h4" stroke="#8a6d00" stroke-width=".9"/></pattern>'
        f'<pattern id="{prefix}-{BROKEN}" width="5" height="5" patternUnits="userSpaceOnUse">'
        f'<rect width="5" height="5" fill="#f3b58d"/><path d="M0 0l5 5M5 0l-5 5" stroke="{_FILL[BROKEN]}"/></pattern>'
        f'<pattern id="{prefix}-{NOTHING}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" fill="{_FILL[NOTHING]}"/>'
        f'<circle cx="3" cy="3" r=".8" fill="#9a9a9a"/></pattern></defs>'
    )


def fill_of(state: str, prefix: str) -> str:
    """Return how a state is filled that is not recorded sound."""
    return f"url(#{prefix}-{state})"


def boxes(places: Sequence[Box], fill: str, stroke: str = "none") -> str:
    """Draw boxes of one kind as one path, which keeps a page of a long season small."""
    if not places:
        return ""
    shape = "".join(f"M{x:.1f} {y:.1f}h{wide:.1f}v{tall:.1f}h{-wide:.1f}z" for x, y, wide, tall in places)
    return f'<path d="{shape}" fill="{fill}" stroke="{stroke}" stroke-width=".5"/>'


def text(x: float, y: float, words: str, anchor: str = "start", **more: str) -> str:
    """Write words."""
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}"{extra}>{quoted(words)}</text>'


def line(points: Sequence[tuple[float, float]], colour: str, width: float = 1.0, dash: str = "") -> str:
    """Draw a line through points."""
    shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{shape}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def legend(x: float, y: float, entries: Sequence[tuple[str, str]], most: float) -> tuple[list[str], float]:
    """Draw coloured boxes with words, line after line; return them and the height that they take."""
    parts, at, row = [], x, y
    for fill, words in entries:
        wide = 24 + 6.0 * len(words)
        if at > x and at + wide > most:
            at, row = x, row + 17
        parts.append(boxes([(at, row, 12, 12)], fill, "#999999"))
        parts.append(text(at + 17, row + 10, words))
        at += wide + 10
    return parts, row + 17 - y


def date_ticks(days: pd.DatetimeIndex, left: float, wide: float, y: float) -> list[str]:
    """Write some dates below columns, as many as have room."""
    step = max(1, round(62 / wide))
    step = next((good for good in (1, 2, 5, 7, 14, 28, 56, 112) if good >= step), step)
    parts = []
    for number in range(0, len(days), step):
        form = "%-d %b %Y" if number == 0 else "%-d %b"
        x = left + (number + 0.5) * wide
        parts.append(line([(x, y), (x, y + 4)], INK, 0.8))
        parts.append(text(x, y + 16, days[number].strftime(form), "middle"))
    return parts
