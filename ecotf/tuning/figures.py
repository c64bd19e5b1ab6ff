"""The figures that a trial reports: what it was judged by on the validation recordings, flat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Figures = dict[str, float | None]

OF_DETECTION = ("ap", "f1", "precision", "recall", "recall_at_95_precision")
_OF_SPECIES = ("macro_f1", "macro_precision", "macro_recall", "macro_f1_two_recordings")
_OF_LABEL = ("ap", "f1")
_OF_ROWS = ("cmap", "padded_cmap_5", "padded_cmap_3", "roc_auc", "lrap")
_OF_CLASS = ("ap", "roc_auc")


def figures_of(validation: Mapping[str, Any]) -> Figures:
    """Of calls: ``quality``, ``detection.*``, ``species.*``, ``species.<label>.*``, ``file_majority_accuracy``.

    They are read from what `ecotf.tasks.calls.train.judge_validation` gave. None where a figure does not exist, as the
    precision of nothing.
    """
    metrics = validation["metrics"]
    figures: Figures = {"quality": validation["quality"]}
    figures |= {f"detection.{name}": metrics["detection"][name] for name in OF_DETECTION}
    species = metrics["species"]
    if species is not None:
        figures |= {f"species.{name}": species[name] for name in _OF_SPECIES}
        for label, found in species["per_label"].items():
            figures |= {f"species.{label}.{name}": found[name] for name in _OF_LABEL}
    if metrics["file_majority_accuracy"] is not None:
        figures["file_majority_accuracy"] = metrics["file_majority_accuracy"]["accuracy"]
    return figures


def clip_figures_of(judged: Mapping[str, Any], events: Mapping[str, Any] | None) -> Figures:
    """Of clips: ``cmap, padded_cmap_5, ...``, ``species.<label>.*``, ``recordings.accuracy``, ``events.*``.

    They are read from what `judge_segments` and `judge_events` of `ecotf.tasks.clips.train` gave. None where a figure
    does not exist.
    """
    rows = judged["rows"]
    figures: Figures = {name: rows[name] for name in _OF_ROWS}
    figures["recordings.accuracy"] = None if judged["recordings"] is None else judged["recordings"]["accuracy"]
    for label, found in rows["classes"].items():
        figures |= {f"species.{label}.{name}": found[name] for name in _OF_CLASS}
    if events is not None:
        figures |= {f"events.{name}": events["detection"][name] for name in OF_DETECTION}
    return {name: None if value is None or math.isnan(value) else value for name, value in figures.items()}
