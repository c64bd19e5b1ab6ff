"""How good detections are: matched to calls, scored with intervals, and drawn."""

from ecotf.evaluation.average_precision import (
    average_precision,
    best_f1_threshold,
    precision_recall,
    recall_at_precision,
    scores_at_threshold,
)
from ecotf.evaluation.calibration import calibration
from ecotf.evaluation.matching import CALL_LABEL, DEFAULT_TOLERANCE_S, match_detections, scored_tables
from ecotf.evaluation.metrics import Metrics, evaluate
from ecotf.evaluation.report import metrics_text
from ecotf.evaluation.thresholds import FittedThresholds, fit_thresholds

__all__ = [
    "CALL_LABEL",
    "DEFAULT_TOLERANCE_S",
    "FittedThresholds",
    "Metrics",
    "average_precision",
    "best_f1_threshold",
    "calibration",
    "evaluate",
    "fit_thresholds",
    "match_detections",
    "metrics_text",
    "precision_recall",
    "recall_at_precision",
    "scored_tables",
    "scores_at_threshold",
]
