"""How good scores of clips are: the metrics of AudioSet and BirdCLEF, and accuracy where a clip has one class.

Labels behind the foreground are soft (0.9); as in the published metric they are cut to whole numbers first, so a
secondary label counts as absent. `counted_labels` says so of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ecotf.errors import DataError
from ecotf.evaluation.average_precision import average_precision, best_f1_threshold
from ecotf.evaluation.matching import Floats
from ecotf.evaluation.segment_intervals import Resampling, d_prime, ranking_intervals
from ecotf.evaluation.thresholds import with_guesses

PADS = (5, 3)


def counted_labels(targets: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Targets as metrics count them, int [n, classes]: cut to whole numbers, so 0.9 is 0."""
    return np.asarray(targets, np.float64).astype(np.int64)


def class_average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Floats:
    """Average precision of each class, float64 [classes]; NaN for a class that no clip has.

    Equal to ``sklearn.metrics.average_precision_score``, class by class.
    """
    truth, score = _checked(targets, scores)
    return np.array(
        [average_precision(score[:, k], truth[:, k] > 0, int((truth[:, k] > 0).sum())) for k in range(truth.shape[1])]
    )


def padded_cmap(targets: npt.ArrayLike, scores: npt.ArrayLike, pad: int = 5) -> float:
    """Return the mean of average precision over all classes after ``pad`` clips that have and score 1 in every class.

    Classes without a clip then have an average precision of 1, and rare ones weigh less (BirdCLEF 2023).
    """
    truth, score = _checked(targets, scores)
    ones = np.ones((pad, truth.shape[1]))
    return _mean(class_average_precision(np.vstack([truth, ones]), np.vstack([score, ones])))


def class_roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Floats:
    """Area under the ROC curve of each class, float64 [classes]; NaN where all clips or none have the class."""
    from scipy.stats import rankdata

    truth, score = _checked(targets, scores)
    ranks = rankdata(score, axis=0) if len(score) else score
    present = truth > 0
    yes = present.sum(axis=0).astype(np.float64)
    no = len(truth) - yes
    above = (ranks * present).sum(axis=0) - yes * (yes + 1) / 2
    return np.divide(above, yes * no, out=np.full(truth.shape[1], np.nan), where=yes * no > 0)


def label_ranking_average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """LRAP, equal to scikit-learn's: clips with no class or with all of them count 1; NaN without clips."""
    truth, score = _checked(targets, scores)
    if not len(truth):
        return float("nan")
    each = []
    for present, own in zip(truth > 0, score, strict=True):
        if present.all() or not present.any():
            each.append(1.0)
            continue
        among_all = (own[None, :] >= own[present][:, None]).sum(axis=1)
        among_true = (own[present][None, :] >= own[present][:, None]).sum(axis=1)
        each.append(float(np.mean(among_true / among_all)))
    return float(np.mean(each))


def wilson_interval(right: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); 0 to 1 where ``n`` is 0.

    Examples
    --------
    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if n == 0:
        return 0.0, 1.0
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def accuracy(targets: npt.ArrayLike, scores: npt.ArrayLike) -> dict[str, Any] | None:
    """Accuracy of the greatest score with its Wilson interval; None unless every clip has one class and no other."""
    truth, score = _checked(targets, scores)
    if not len(truth) or not (truth.sum(axis=1) == 1).all():
        return None
    right = int((score.argmax(axis=1) == truth.argmax(axis=1)).sum())
    return {
        "right": right,
        "n": len(truth),
        "accuracy": right / len(truth),
        "interval": wilson_interval(right, len(truth)),
    }


def clip_metrics(
    targets: npt.ArrayLike, scores: npt.ArrayLike, classes: Sequence[str], resampling: Resampling | None = None
) -> dict[str, Any]:
    """Return all of them, as they go into ``metrics.json``; with ``resampling``, with their 95 % intervals.

    ``cmap`` is the mean of average precision over the classes that a clip has (mAP). ``d_prime`` is that of the mean
    ROC-AUC, as PANNs report it. A class that no clip has, or every clip, has no ROC-AUC: it is NaN (``null`` in the
    file), listed in ``classes_without_roc_auc``, and in no mean.
    """
    soft = np.asarray(targets, np.float64)
    truth = counted_labels(soft)
    per_class = class_average_precision(truth, scores)
    areas = class_roc_auc(truth, scores)
    apart = d_prime(areas)
    metrics: dict[str, Any] = {
        "n": len(truth),
        "soft_labels_counted_as_absent": int(((soft > 0) & (soft < 1)).sum()),
        **{f"padded_cmap_{pad}": padded_cmap(truth, scores, pad) for pad in PADS},
        "cmap": _mean(per_class),
        "roc_auc": _mean(areas),
        "d_prime": float(d_prime(_mean(areas))),
        "lrap": label_ranking_average_precision(truth, scores),
        "classes_without_roc_auc": [name for name, area in zip(classes, areas, strict=True) if np.isnan(area)],
        "classes": {
            name: {
                "n": int(truth[:, k].sum()),
                "ap": float(per_class[k]),
                "roc_auc": float(areas[k]),
                "d_prime": float(apart[k]),
            }
            for k, name in enumerate(classes)
        },
    }
    if resampling is None:
        return metrics
    intervals = ranking_intervals(truth, scores, resampling)
    each = metrics["classes"]
    for name, found in zip(classes, intervals.pop("classes"), strict=True):
        each[name] |= found
    return metrics | intervals


def fit_clip_thresholds(
    targets: npt.ArrayLike, scores: npt.ArrayLike, classes: Sequence[str]
) -> tuple[dict[str, float], list[str]]:
    """Return the threshold of highest F1 of each class, and the classes that have none of their own.

    Those get the median of the others, or 0.5.
    """
    truth, score = _checked(counted_labels(targets), scores)
    found = {}
    for k, name in enumerate(classes):
        hits = truth[:, k] > 0
        best = best_f1_threshold(score[:, k], hits, int(hits.sum())) if hits.any() else float("nan")
        if np.isfinite(best):
            found[name] = best
    return with_guesses(found, classes)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _checked(targets: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Floats, Floats]:
    truth, score = np.asarray(targets, np.float64), np.asarray(scores, np.float64)
    if truth.ndim != 2 or truth.shape != score.shape:
        raise DataError(
            f"targets of shape {truth.shape} and scores of {score.shape}: expected [clips, classes] of both"
        )
    if not np.isfinite(score).all():
        raise DataError(f"{int((~np.isfinite(score)).sum())} of {score.size} scores are not finite numbers")
    return truth, score
