"""The figures that a trial reports: validation metrics by flat names, as ``detection.ap``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = dict[str, float | None]
"""None where a figure does not exist, as the precision of nothing."""

OF_DETECTION = ("ap", "f1", "precision", "recall", "recall_at_95_precision")


def detection_figures(prefix: str, metrics: Mapping[str, Any]) -> Figures:
    """Name the figures of detection in ``metrics`` (as `ecotf.evaluation.metrics.evaluate` gives them) by a prefix."""
    return {f"{prefix}.{name}": metrics["detection"][name] for name in OF_DETECTION}
