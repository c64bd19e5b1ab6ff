"""The metrics as text that can be read in a terminal, printed, or mailed from the field."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from ecotf.wording import counted

_FEW_RECORDINGS = 20
_FEW_CALLS = 50
_NAME_WIDTH = 28


def metrics_text(metrics: Mapping[str, Any]) -> str:
    """Lay out the result of :func:`ecotf.evaluation.evaluate`.

    Figures stand with their 95 % interval; ``-`` means that there was nothing to compute it from. What is too small to
    be trusted is said at the end.
    """
    blocks = [_detection(metrics), _species(metrics), _majority(metrics), _confusion(metrics), _calibration(metrics)]
    return "\n\n".join("\n".join(block) for block in (*blocks, _rules(metrics), _notes(metrics)) if block) + "\n"


def _detection(metrics: Mapping[str, Any]) -> list[str]:
    found, settings = metrics["detection"], metrics["settings"]
    lines = [
        f"DETECTION   {found['n_calls']} calls in {settings['n_recordings_with_calls']} of "
        f"{settings['n_recordings']} recordings"
    ]
    names = {
        "ap": "average precision",
        "precision": "precision",
        "recall": "recall",
        "f1": "F1",
        "recall_at_95_precision": "recall at 95 % precision",
    }
    for key, name in names.items():
        at = f"  at threshold {found['threshold']:.3g}" if key in ("precision", "recall", "f1") else ""
        lines.append(f"  {name:<26}{as_figure(found[key])}  {as_span(found[key + '_interval'])}{at}")
    n_false = found["n_detections"] - found["n_hits"]
    lines.append(
        f"  {counted(found['n_detections'], 'detection')}: {counted(found['n_hits'], 'hit')}, "
        f"{counted(n_false, 'false alarm')}; {counted(found['n_calls'] - found['n_hits'], 'call')} missed"
    )
    lines.append(
        f"  {found['n_candidates']} candidates, at any score, find "
        f"{as_figure(found['recall_of_all_candidates'])} of the calls"
    )
    return lines


def _species(metrics: Mapping[str, Any]) -> list[str]:
    species = metrics["species"]
    if species is None:
        return []
    lines = [
        "SPECIES",
        f"  macro F1, {species['n_labels']} species with calls{'':<17}"
        f"{as_figure(species['macro_f1'])}  {as_span(species['macro_f1_interval'])}",
        f"  macro F1, {species['n_labels_two_recordings']} species in two recordings or more  "
        f"{as_figure(species['macro_f1_two_recordings'])}  {as_span(species['macro_f1_two_recordings_interval'])}",
        f"  macro precision {as_figure(species['macro_precision'])}, macro recall {as_figure(species['macro_recall'])}",
        "",
    ]
    width = max([len("species"), *(len(shortened(label)) for label in species["per_label"])])
    lines.append(
        f"  {'species':<{width}}  {'calls':>6} {'files':>6} {'found':>6}  threshold  precision  recall     F1"
        f"  {'[95 %]':<12}     AP"
    )
    for label, row in species["per_label"].items():
        lines.append(
            f"  {shortened(label):<{width}}  {row['support']:>6} {row['n_recordings']:>6} {row['n_detections']:>6}"
            f"  {row['threshold']:>9.2f}  {as_figure(row['precision']):>9}  {as_figure(row['recall']):>6}"
            f"  {as_figure(row['f1']):>5}  {as_span(row['f1_interval']):<12}  {as_figure(row['ap']):>5}"
        )
    return lines


def _majority(metrics: Mapping[str, Any]) -> list[str]:
    files = metrics["file_majority_accuracy"]
    if files is None:
        return []
    return [
        "MAJORITY SPECIES PER RECORDING",
        f"  {files['n_right']} of {files['n_judged']} right: {as_figure(files['accuracy'])}  "
        f"{as_span(files['accuracy_interval'])}",
        f"  not judged: {files['n_without_calls']} without calls of these species, "
        f"{files['n_excluded_ties']} with several species in equal numbers",
    ]


def _confusion(metrics: Mapping[str, Any]) -> list[str]:
    confusion = metrics["confusion"]
    if confusion is None:
        return []
    n_labels = len(confusion["columns"]) - 1
    rows = [f"{i} {shortened(name)}" if i <= n_labels else name for i, name in enumerate(confusion["rows"], start=1)]
    columns = [*(str(i) for i in range(1, n_labels + 1)), confusion["columns"][-1]]
    left = max(len(name) for name in rows)
    widths = [max(len(name), *(len(str(row[i])) for row in confusion["counts"])) for i, name in enumerate(columns)]
    return [
        "CONFUSION   rows: what it was; columns: what it was named",
        f"  {'':<{left}}  {_cells(columns, widths)}",
        *(
            f"  {name:<{left}}  {_cells([str(n) if n else '.' for n in counts], widths)}"
            for name, counts in zip(rows, confusion["counts"], strict=True)
        ),
    ]


def _calibration(metrics: Mapping[str, Any]) -> list[str]:
    found = metrics["calibration"]
    if found is None:
        return []
    lines = [
        f"CALIBRATION of the detection scores ({found['n_detections']} candidates)",
        f"  expected calibration error {found['expected_calibration_error']:.3f}, "
        f"Brier score {found['brier_score']:.3f}",
        "  score        candidates  mean score  hit rate",
    ]
    for row in found["bins"]:
        lines.append(
            f"  {row['low']:.1f} to {row['high']:.1f}  {row['n']:>12}  {as_figure(row['mean_score']):>10}"
            f"  {as_figure(row['hit_rate']):>8}"
        )
    return lines


def _rules(metrics: Mapping[str, Any]) -> list[str]:
    settings = metrics["settings"]
    ignored_labels = ", ".join(settings["ignored_labels"])
    lines = [
        "HOW THIS WAS COUNTED",
        f"  A detection hits a call when its middle lies in the call widened by {settings['tolerance_s'] * 1000:g} ms.",
        "  Best score first, one detection per call: a second detection of a call is a false alarm,",
        f"  as is everything that is not a call{f', {ignored_labels} included' if ignored_labels else ''}.",
    ]
    if settings["n_resampled"] >= 2:
        lines.append(
            f"  [low, high]: 95 % bootstrap interval, {settings['n_bootstrap']} resamples of "
            f"{settings['n_resampled']} {settings['resampled_by']}s, seed {settings['seed']}."
        )
    return lines


def _notes(metrics: Mapping[str, Any]) -> list[str]:
    notes = list(_each_note(metrics))
    wrap = partial(textwrap.wrap, width=96, initial_indent="  - ", subsequent_indent="    ")
    return ["TAKE CARE", *chain.from_iterable(wrap(note) for note in notes)] if notes else []


def _each_note(metrics: Mapping[str, Any]) -> Iterator[str]:
    found, settings = metrics["detection"], metrics["settings"]
    n, unit = settings["n_resampled"], settings["resampled_by"]
    if n < 2:
        yield f"Only one {unit}: there is no telling how much the figures would vary, so they have no intervals."
    elif n < _FEW_RECORDINGS:
        yield f"Only {n} {unit}s: the intervals are rough, and likely too narrow."
    if not found["n_calls"]:
        yield "No annotated call: recall and average precision cannot be computed."
    elif found["n_calls"] < _FEW_CALLS:
        yield f"Only {found['n_calls']} calls: differences of a few hundredths mean nothing."
    if not found["n_candidates"]:
        yield "There is no detection labelled 'call' at any score."
    if metrics["species"] is not None:
        per_label = metrics["species"]["per_label"]
        absent = [label for label, row in per_label.items() if not row["support"]]
        single = [label for label, row in per_label.items() if row["n_recordings"] == 1]
        if absent:
            yield f"Without a call here, so not in the macro F1: {', '.join(absent)}."
        if single:
            yield (
                "All calls in one recording, so it may be the recording that is recognised; the interval of the macro "
                f"F1 with them says little: {', '.join(single)}."
            )


def as_figure(value: float | None) -> str:
    """Write a figure; ``-`` where there was nothing to compute it from."""
    return "-" if value is None else f"{value:.3f}"


def as_span(bounds: Sequence[float | None]) -> str:
    """Write an interval; nothing where there is none."""
    low, high = bounds
    return "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"


def shortened(name: str) -> str:
    """Cut a long name."""
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"


def _cells(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))
