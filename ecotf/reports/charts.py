"""The figures of a report, drawn as SVG by hand: bars with intervals, and the curves of trainings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ecotf.reports.shown_run import LETTERS, ShownRun
from ecotf.reports.text import bounds, number, quoted, shown
from ecotf.tasks.reported import ClassFigures, Curve, Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which people who see red and green alike can tell apart."""
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 2")
_BAR, _STEP = 9, 14
_WIDTH, _HEIGHT, _LEFT, _FOOT = 420, 220, 46, 30


def colour(letter: str) -> str:
    """Return the colour of a run."""
    return COLOURS[LETTERS.index(letter) % len(COLOURS)]


def _dash(letter: str) -> str:
    return _DASHES[(LETTERS.index(letter) + LETTERS.index(letter) // len(COLOURS)) % len(_DASHES)]


def class_bars(runs: Sequence[ShownRun]) -> str:
    """Draw average precision by class: one row for each class, one bar for each run, with its interval."""
    own = {run.letter: {one.label: one for one in run.material.classes} for run in runs}
    labels = list(dict.fromkeys(label for run in runs for label in run.labels))
    rows = "".join(_class_row(label, runs, own) for label in labels)
    return (
        '<table class="bars"><thead><tr><th scope="col">class</th><th scope="col">run</th><th scope="col">judged</th>'
        '<th scope="col" class="scale"><span>0</span><span>average precision</span><span>1</span></th>'
        f'<th scope="col">AP [95 %]</th><th scope="col">other figures</th></tr></thead>{rows}</table>'
    )


def _class_row(label: str, runs: Sequence[ShownRun], own: dict[str, dict[str, ClassFigures]]) -> str:
    lines = []
    there = [run for run in runs if label in own[run.letter]]
    for number_, run in enumerate(there):
        found = own[run.letter][label]
        first, *others = found.figures
        name = f'<th scope="rowgroup" rowspan="{len(there)}">{shown(label)}</th>' if number_ == 0 else ""
        rest = ", ".join(f"{one.name} {number(one.value)}" for one in others)
        spread = "groups" if found.n_recordings == 1 else "recordings or groups"
        lines.append(
            f'<tr>{name}<td class="letter" style="color:{colour(run.letter)}">{run.letter}</td>'
            f'<td class="count" title="in {found.n_recordings} {spread}">{found.n}</td>'
            f"<td>{_bar(first, run.letter, label)}</td>"
            f'<td class="figure">{number(first.value)} <small>{bounds(*first.bounds)}</small></td>'
            f'<td class="rest">{rest}</td></tr>'
        )
    return f"<tbody>{''.join(lines)}</tbody>"


def _bar(figure: Figure, letter: str, label: str) -> str:
    text = f"{quoted(label)}, run {letter}: {figure.name} {number(figure.value)} {bounds(*figure.bounds)}"
    parts = ['<line x1="50%" x2="50%" y1="0" y2="14" class="grid"/>']
    if figure.value is not None and math.isfinite(figure.value):
        parts.append(
            f'<rect x="0" y="{(_STEP - _BAR) / 2}" width="{100 * figure.value:.2f}%" height="{_BAR}" '
            f'fill="{colour(letter)}" fill-opacity="0.75"/>'
        )
        low, high = figure.bounds
        if low is not None and high is not None:
            middle = _STEP / 2
            parts.append(
                f'<line x1="{100 * low:.2f}%" x2="{100 * high:.2f}%" y1="{middle}" y2="{middle}" class="span"/>'
                + "".join(
                    f'<line x1="{100 * x:.2f}%" x2="{100 * x:.2f}%" y1="{middle - 3}" y2="{middle + 3}" class="span"/>'
                    for x in (low, high)
                )
            )
    else:
        parts.append('<text x="2" y="11" class="none">nothing to judge</text>')
    return f'<svg class="bar" height="{_STEP}" role="img" aria-label="{text}">{"".join(parts)}</svg>'


def training_curves(runs: Sequence[ShownRun]) -> str:
    """Draw training loss, validation loss and score of all runs, epoch by epoch; a stage begins a new line."""
    scores = list(dict.fromkeys(run.material.score_name for run in runs if run.material.score_name))
    panels = [_panel("training loss", runs, "loss"), _panel("validation loss", runs, "valid_loss")]
    if scores:
        panels.append(_panel(f"validation score ({', '.join(scores)})", runs, "score"))
    return f'<div class="panels">{"".join(panels)}</div>'


def _panel(title: str, runs: Sequence[ShownRun], column: str) -> str:
    lines = [(run, list(_segments(run.material.curves, column))) for run in runs]
    values = [y for _, segments in lines for _, points in segments for _, y in points]
    if not values:
        return f'<figure><figcaption>{quoted(title)}</figcaption><p class="none">not measured</p></figure>'
    last = max(x for _, segments in lines for _, points in segments for x, _ in points)
    low, high = min(values), max(values)
    if column == "score":
        low, high = min(low, 0.0), max(high, 1.0)
    pad = 0.04 * (high - low) or 0.5
    low, high = low - pad, high + pad

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - 1) / (last - 1) if last > 1 else 0.5
        return (
            _LEFT + across * (_WIDTH - _LEFT - 10),
            (_HEIGHT - _FOOT) - (y - low) / (high - low) * (_HEIGHT - _FOOT - 8),
        )

    drawn = [*_axes(low, high, last, at)]
    for run, segments in lines:
        drawn += [_line(run, stage, [at(*point) for point in points]) for stage, points in segments]
    return (
        f'<figure><figcaption>{quoted(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{quoted(title)} by epoch">{"".join(drawn)}</svg></figure>'
    )


def _segments(curves: Sequence[Curve], column: str) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield the name and the points of each fit; its epochs come after those of the fits before it."""
    before = 0
    for curve in curves:
        values = getattr(curve, column)
        points = [(before + i + 1.0, value) for i, value in enumerate(values) if math.isfinite(value)]
        if points:
            yield curve.stage, points
        before += len(curve.loss)


def _line(run: ShownRun, stage: str, points: Sequence[tuple[float, float]]) -> str:
    shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[0]
    dash = f' stroke-dasharray="{_dash(run.letter)}"' if _dash(run.letter) else ""
    return (
        f"<g><title>{run.letter}: {quoted(stage)}</title>"
        f'<polyline points="{shape}" fill="none" stroke="{colour(run.letter)}" stroke-width="2"{dash}/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour(run.letter)}"/>'
        f'<text x="{points[-1][0] + 2:.1f}" y="{points[-1][1] - 5:.1f}" style="fill:{colour(run.letter)}" class="mark" '
        f'text-anchor="end">{run.letter}</text></g>'
    )


def _axes(low: float, high: float, last: float, at: object) -> Iterator[str]:
    place = at
    assert callable(place)
    for value in ticks(low, high):
        y = place(1, value)[1]
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
        yield f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    for epoch in sorted({1, *(round(tick) for tick in ticks(1, last) if tick >= 1)}):
        x = place(epoch, low)[0]
        yield f'<text x="{x:.1f}" y="{_HEIGHT - _FOOT + 15}" text-anchor="middle">{epoch}</text>'
    yield f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 2}" text-anchor="middle">epoch, all stages</text>'


def ticks(low: float, high: float) -> list[float]:
    """Return some four round numbers from ``low`` to ``high``.

    Examples
    --------
    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high <= low:
        return [low]
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough * 0.999)
    return [round(k * step, 10) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
