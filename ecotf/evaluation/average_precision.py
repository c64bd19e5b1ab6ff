"""Average precision of a detector, with the calls that no candidate found counted as missed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ecotf.errors import DataError
from ecotf.evaluation.matching import Floats


class PrecisionRecall(NamedTuple):
    """A precision-recall curve, one point per distinct score, best score first."""

    precision: Floats
    recall: Floats
    thresholds: Floats


class PointScores(NamedTuple):
    """Precision, recall and F1 at one threshold; NaN where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float


def precision_recall(scores: npt.ArrayLike, hits: npt.ArrayLike, n_calls: int) -> PrecisionRecall:
    """Precision and recall of the detections scoring at least each distinct score.

    Parameters
    ----------
    scores
        Finite scores, shape [D].
    hits
        Whether each detection hit a call (each call at most once), shape [D].
    n_calls
        All calls, found or not. Recall is NaN when there are none.

    Raises
    ------
    DataError
        A NaN score, unequal lengths, or more hits than calls.
    """
    score, hit = _checked(scores, hits, n_calls)
    order = np.argsort(-score, kind="stable")
    score, hit = score[order], hit[order]
    last = np.flatnonzero(np.append(np.diff(score) != 0, True)) if score.size else np.zeros(0, np.int64)
    found = np.cumsum(hit)[last]
    recall = found / n_calls if n_calls else np.full(last.size, np.nan)
    return PrecisionRecall(found / (last + 1.0), recall, score[last])


def average_precision(scores: npt.ArrayLike, hits: npt.ArrayLike, n_calls: int) -> float:
    """Area under the precision-recall curve, without interpolation: the sum of (R_n - R_(n-1)) P_n.

    The sum runs over distinct scores, so ties count as one group; this is ``sklearn.metrics.average_precision_score``
    with recall divided by all calls, including those without a candidate. NaN when there are no calls.
    """
    curve = precision_recall(scores, hits, n_calls)
    if not n_calls:
        return float("nan")
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


def recall_at_precision(scores: npt.ArrayLike, hits: npt.ArrayLike, n_calls: int, precision: float = 0.95) -> float:
    """Return the highest recall at which precision is at least ``precision``; 0 if it never is, NaN without calls."""
    curve = precision_recall(scores, hits, n_calls)
    if not n_calls:
        return float("nan")
    return float(np.max(curve.recall[curve.precision >= precision], initial=0.0))


def scores_at_threshold(scores: npt.ArrayLike, hits: npt.ArrayLike, n_calls: int, threshold: float) -> PointScores:
    """Precision, recall and F1 of the detections scoring at least ``threshold``."""
    score, hit = _checked(scores, hits, n_calls)
    kept = score >= threshold
    precision, recall, f1 = precision_recall_f1(int(hit[kept].sum()), int(kept.sum()), n_calls)
    return PointScores(float(precision), float(recall), float(f1))


def best_f1_threshold(scores: npt.ArrayLike, hits: npt.ArrayLike, n_calls: int) -> float:
    """Return the threshold of highest F1, half way between the last score that it keeps and the first that it drops.

    Half way, so that the tiny differences between one machine's arithmetic and another's do not move a detection across
    it. NaN when no detection hits.
    """
    curve = precision_recall(scores, hits, n_calls)
    if not n_calls or not curve.recall.size or curve.recall[-1] == 0:
        return float("nan")
    f1 = 2 * curve.precision * curve.recall / np.maximum(curve.precision + curve.recall, np.finfo(float).tiny)
    best = int(np.argmax(f1))
    last_kept = curve.thresholds[best]
    first_dropped = curve.thresholds[min(best + 1, f1.size - 1)]
    middle = (last_kept + first_dropped) / 2
    return float(middle if middle > first_dropped else last_kept)  # neighbouring floats have nothing between them


def precision_recall_f1(
    n_hits: npt.ArrayLike, n_detections: npt.ArrayLike, n_calls: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 from counts of any shape; F1 is 2 hits / (detections + calls), NaN where undefined."""
    hit, detected, calls = (np.asarray(counts, dtype=np.float64) for counts in (n_hits, n_detections, n_calls))
    return divide(hit, detected), divide(hit, calls), divide(2 * hit, detected + calls)


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide elementwise, giving NaN (without a warning) where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    return np.divide(numerator, denominator, out=np.full(shape, np.nan), where=np.asarray(denominator) != 0)


def _checked(scores: npt.ArrayLike, hits: npt.ArrayLike, n_calls: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    score, hit = np.asarray(scores, dtype=np.float64), np.asarray(hits, dtype=bool)
    if score.ndim != 1 or score.shape != hit.shape:
        raise DataError(f"scores and hits must be two lists of one length, found shapes {score.shape} and {hit.shape}")
    if not np.isfinite(score).all():
        raise DataError(f"{int((~np.isfinite(score)).sum())} of {score.size} scores are not finite numbers")
    if hit.sum() > n_calls:
        raise DataError(f"{int(hit.sum())} hits but only {n_calls} calls: each call can be hit once")
    return score, hit
