"""The figures that a trial reports: what `ecotf.training.train.judge_validation` gave, flat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = dict[str, float | None]

_OF_DETECTION = ("ap", "f1", "precision", "recall", "recall_at_95_precision")
_OF_SPECIES = ("macro_f1", "macro_precision", "macro_recall", "macro_f1_two_recordings")
_OF_LABEL = ("ap", "f1")


def figures_of(validation: Mapping[str, Any]) -> Figures:
    """``quality``, ``detection.*``, ``species.*``, ``species.<label>.*``, ``file_majority_accuracy``.

    None where a figure does not exist, as the precision of nothing.
    """
    metrics = validation["metrics"]
    figures: Figures = {"quality": validation["quality"]}
    figures |= {f"detection.{name}": metrics["detection"][name] for name in _OF_DETECTION}
    species = metrics["species"]
    if species is not None:
        figures |= {f"species.{name}": species[name] for name in _OF_SPECIES}
        for label, found in species["per_label"].items():
            figures |= {f"species.{label}.{name}": found[name] for name in _OF_LABEL}
    if metrics["file_majority_accuracy"] is not None:
        figures["file_majority_accuracy"] = metrics["file_majority_accuracy"]["accuracy"]
    return figures
