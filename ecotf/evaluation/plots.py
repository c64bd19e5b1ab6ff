"""Pictures of an evaluation, each drawn on its own Figure (no pyplot state) and written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.errors import DataError
from ecotf.evaluation.detection_plot import PREDICTED, plot_detections, save_figure
from ecotf.evaluation.drawing import literal

__all__ = ["plot_confusion", "plot_detections", "plot_precision_recall", "plot_reliability"]

_QUIET = "#777777"


def plot_precision_recall(metrics: Mapping[str, Any], path: str | Path, *, title: str = "Detection of calls") -> Path:
    """Draw the detection curve of :func:`ecotf.evaluation.evaluate`, its operating point, and lines of equal F1.

    Raises
    ------
    DataError
        The evaluation has no annotated call, so no curve.
    """

    from matplotlib.figure import Figure

    found = metrics["detection"]
    if found["curve"] is None:
        raise DataError("no precision-recall curve: there was no annotated call to evaluate on")
    figure = Figure(figsize=(5.4, 5.0), layout="constrained")
    axes = figure.subplots()
    recall = np.linspace(0.01, 1, 400)
    for f1 in (0.5, 0.7, 0.8, 0.9):
        precision = f1 * recall / np.maximum(2 * recall - f1, 1e-9)
        shown = (2 * recall > f1) & (precision <= 1)
        axes.plot(recall[shown], precision[shown], color="#dddddd", linewidth=1, zorder=1)
        axes.annotate(f"F1 {f1}", (1.0, f1 / (2 - f1)), (-2, 3), textcoords="offset points", color="#999999",
                      fontsize=8, ha="right")  # fmt: skip
    # The first point is drawn from recall 0, as average precision counts it.
    curve_recall = [0.0, *found["curve"]["recall"]]
    curve_precision = [*found["curve"]["precision"][:1], *found["curve"]["precision"]]
    low, high = found["ap_interval"]
    span = "" if low is None else f" [{low:.2f}, {high:.2f}]"
    label = f"average precision {found['ap']:.3f}{span}"
    axes.plot(curve_recall, curve_precision, color=PREDICTED, linewidth=2, label=label, zorder=3)
    if found["precision"] is not None:
        axes.plot(
            found["recall"], found["precision"], "o", color="black", markersize=7, zorder=4,
            label=f"threshold {found['threshold']:.2g}: F1 {found['f1']:.3f}",
        )  # fmt: skip
    n_recordings = metrics["settings"]["n_recordings"]
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision", aspect="equal")
    axes.set_title(f"{literal(title)}\n{found['n_calls']} calls in {n_recordings} recordings", fontsize=11)
    axes.legend(loc="lower left", fontsize=9)
    return save_figure(figure, path)


def plot_confusion(metrics: Mapping[str, Any], path: str | Path, *, title: str = "Naming of calls") -> Path:
    """Draw the confusion matrix: colour by share of the true row, the counts in the cells.

    Raises
    ------
    DataError
        The evaluation named no species.
    """

    from matplotlib.figure import Figure

    confusion = metrics["confusion"]
    if confusion is None:
        raise DataError("no confusion matrix: the evaluation had no species to name")
    counts = np.asarray(confusion["counts"])
    rows, columns = confusion["rows"], confusion["columns"]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.6 + 0.5 * len(columns)
    figure = Figure(figsize=(size + 1.0, size + 0.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Greens", vmin=0, vmax=1, aspect="equal")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[row, column] > 0.6 else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour, fontsize=8)
    shown_rows, shown_columns = [literal(name) for name in rows], [literal(name) for name in columns]
    axes.set_xticks(range(len(columns)), shown_columns, rotation=45, ha="right", rotation_mode="anchor", fontsize=9)
    counted = [f"{name} ({n})" for name, n in zip(shown_rows, counts.sum(axis=1), strict=True)]
    axes.set_yticks(range(len(rows)), counted, fontsize=9)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#e5e5e5", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    axes.set(xlabel="named as", ylabel="truth (number)")
    axes.set_title(literal(title), fontsize=11)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the row")
    return save_figure(figure, path)


def plot_reliability(metrics: Mapping[str, Any], path: str | Path, *, title: str = "Reliability of scores") -> Path:
    """Draw the hit rate against the score, with the number of candidates per bin beneath.

    Raises
    ------
    DataError
        The scores were no probabilities, or there were none.
    """

    from matplotlib.figure import Figure

    found = metrics["calibration"]
    if found is None:
        raise DataError("no reliability picture: it needs detection scores from 0 to 1")
    bins = found["bins"]
    figure = Figure(figsize=(5.0, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = [row for row in bins if row["n"]]
    upper.plot([0, 1], [0, 1], "--", color=_QUIET, linewidth=1, label="a score of 0.8 hits 8 times in 10")
    mean_scores, hit_rates = [row["mean_score"] for row in filled], [row["hit_rate"] for row in filled]
    upper.plot(mean_scores, hit_rates, "o-", color=PREDICTED, linewidth=2, label="this model")
    upper.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="share that hits a call")
    figures = f"expected calibration error {found['expected_calibration_error']:.3f}, Brier {found['brier_score']:.3f}"
    upper.set_title(f"{literal(title)}\n{figures}", fontsize=11)
    upper.legend(loc="upper left", fontsize=9)
    width = bins[0]["high"] - bins[0]["low"]
    lower.bar([row["low"] + width / 2 for row in bins], [row["n"] for row in bins], 0.9 * width, color="#bbbbbb")
    lower.set(xlabel="score", ylabel="candidates", yscale="log" if filled else "linear")
    return save_figure(figure, path)
