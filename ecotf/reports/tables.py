"""The tables of a report: the runs side by side, thresholds, and which class was taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ecotf.reports.charts import colour
from ecotf.reports.shown_run import SIDES, ShownRun
from ecotf.reports.text import NONE, bounds, number, quoted, shown

_MOST_IN_MATRIX = 30
_MOST_PAIRS = 30


def overview(runs: Sequence[ShownRun]) -> str:
    """Show the runs side by side: what they are, what they learned from, and their figures with intervals."""
    heads = "".join(
        f'<th scope="col"><span class="letter" style="color:{colour(run.letter)}">{run.letter}</span> '
        f"{shown(run.name)}</th>"
        for run in runs
    )
    rows = [
        ("recipe", [shown(run.recipe.description) for run in runs]),
        ("classes", [str(len(run.classes)) for run in runs]),
        ("recordings", [_sides(run) for run in runs]),
        ("judged on", [_judged(run) for run in runs]),
        ("parameters", [f"{run.cost['parameters']:,}" for run in runs]),
    ]
    figures = [{one.name: one for one in run.material.figures} for run in runs]
    for name in dict.fromkeys(name for each in figures for name in each):
        cells = []
        for each in figures:
            one = each.get(name)
            text = NONE if one is None else f"<b>{number(one.value)}</b> <small>{bounds(*one.bounds)}</small>"
            cells.append(text)
        rows.append((quoted(name), cells))
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for name, cells in rows
    )
    return (
        f'<div class="wide"><table class="side"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _sides(run: ShownRun) -> str:
    counts = ", ".join(f"{len(run.splits.recordings_of(side))} {side}" for side in SIDES)
    left_out = len(run.splits.table) - len(run.splits.usable)
    learned = run.material.learned
    also = f"; {' and '.join(learned)} learned from" if learned != ("train",) else ""
    return counts + also + (f"; {left_out} could not be used" if left_out else "")


def _judged(run: ShownRun) -> str:
    if run.judged_on is None:
        return "nothing"
    n = len(run.splits.recordings_of(run.judged_on))
    name = {"test": "test recordings", "valid": "validation recordings"}[run.judged_on]
    return f"{n} {name}, {quoted(run.material.unit)}"


def thresholds(runs: Sequence[ShownRun]) -> str:
    """Show the threshold of each class in each run; a guess is marked."""
    own = {run.letter: {one.label: one for one in run.material.classes} for run in runs}
    labels = list(dict.fromkeys(label for run in runs for label in run.labels))
    heads = "".join(
        f'<th scope="col" class="letter" style="color:{colour(run.letter)}">{run.letter}</th>' for run in runs
    )
    rows = []
    for label in labels:
        cells = []
        for run in runs:
            one = own[run.letter].get(label)
            text = NONE if one is None else number(one.threshold) + ("" if one.fitted else " (guess)")
            cells.append(f'<td class="{"" if one is None or one.fitted else "guess"}">{text}</td>')
        rows.append(f'<tr><th scope="row">{shown(label)}</th>{"".join(cells)}</tr>')
    return (
        f'<table class="thresholds"><thead><tr><th scope="col">class</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def unfitted(run: ShownRun) -> str:
    """Say which thresholds of a run are guesses, and what else is to be known of them."""
    told = "".join(f"<p>{run.letter}: {quoted(note)}.</p>" for note in run.threshold_notes)
    if not run.unfitted:
        return told
    names = ", ".join(shown(name) for name in run.unfitted)
    return f"<p>{run.letter}: no validation recording could fit the threshold of {names}; it is a guess.</p>{told}"


def confusion(run: ShownRun) -> str:
    """Show which class was taken for which: a matrix or, of many classes, the most frequent pairs."""
    found = run.material.confusion
    if found is None:
        return ""
    title = f'<h3><span class="letter" style="color:{colour(run.letter)}">{run.letter}</span> {shown(run.name)}</h3>'
    many = len(found["columns"]) > _MOST_IN_MATRIX
    return title + (_pairs(found) if many else _matrix(found))


def _matrix(found: Mapping[str, Any]) -> str:
    heads = "".join(f'<th scope="col"><div>{shown(name)}</div></th>' for name in found["columns"])
    rows = []
    for name, counts in zip(found["rows"], found["counts"], strict=True):
        total = sum(counts)
        cells = []
        for column, count in zip(found["columns"], counts, strict=True):
            share = count / total if total else 0.0
            style = f"background:rgba(0,114,178,{0.85 * share:.2f})" + (";color:#fff" if share > 0.55 else "")
            right = ' class="right"' if column == name else ""
            cells.append(f'<td{right} style="{style}">{count or "·"}</td>')
        rows.append(f'<tr><th scope="row">{shown(name)} <small>({total})</small></th>{"".join(cells)}</tr>')
    return (
        f'<div class="wide"><table class="matrix"><thead><tr><th scope="col" class="corner">truth (number) ↓, '
        f"named as →</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _pairs(found: Mapping[str, Any]) -> str:
    pairs = sorted(
        (
            (count, true, named)
            for true, counts in zip(found["rows"], found["counts"], strict=True)
            for named, count in zip(found["columns"], counts, strict=True)
            if count and true != named
        ),
        key=lambda pair: -pair[0],
    )
    rows = "".join(
        f"<tr><td>{count}</td><td>{shown(true)}</td><td>{shown(named)}</td></tr>"
        for count, true, named in pairs[:_MOST_PAIRS]
    )
    return (
        f"<p>The {min(len(pairs), _MOST_PAIRS)} most frequent of {len(pairs)} confusions.</p><table><thead><tr>"
        '<th scope="col">number</th><th scope="col">truth</th><th scope="col">named as</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
