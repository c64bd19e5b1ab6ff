"""Calibration: of the detections scored 0.8, do eight in ten hit a call?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ecotf.errors import DataError


def calibration(scores: npt.ArrayLike, hits: npt.ArrayLike, n_bins: int = 10) -> dict[str, Any] | None:
    """Reliability of scores as probabilities of a hit.

    Parameters
    ----------
    scores
        Shape [D]. Scores outside 0 to 1 are not probabilities: the result is None, as it is without detections.
    hits
        Whether each detection hit a call, shape [D].
    n_bins
        Bins of equal width from 0 to 1; the upper edge belongs to the next bin, except 1.

    Returns
    -------
    dict or None
        ``expected_calibration_error`` (Guo et al. 2017: the mean distance between score and hit rate, weighted by bin),
        ``brier_score`` (mean squared distance between score and hit), ``n_detections`` and ``bins``: a list of
        ``low, high, n, mean_score, hit_rate``, the last two None in an empty bin.

    Raises
    ------
    DataError
        A NaN score or unequal lengths.
    """
    score, hit = np.asarray(scores, dtype=np.float64), np.asarray(hits, dtype=np.float64)
    if score.shape != hit.shape:
        raise DataError(f"scores and hits must have one length, found {score.shape} and {hit.shape}")
    if np.isnan(score).any():
        raise DataError(f"{int(np.isnan(score).sum())} of {score.size} scores are NaN")
    if not score.size or score.min() < 0 or score.max() > 1:
        return None
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    bin_index = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, n_bins - 1)
    counts = np.bincount(bin_index, minlength=n_bins)
    filled = np.maximum(counts, 1)
    mean_score = np.bincount(bin_index, weights=score, minlength=n_bins) / filled
    hit_rate = np.bincount(bin_index, weights=hit, minlength=n_bins) / filled
    bins = [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "n": int(counts[i]),
            "mean_score": float(mean_score[i]) if counts[i] else None,
            "hit_rate": float(hit_rate[i]) if counts[i] else None,
        }
        for i in range(n_bins)
    ]
    return {
        "expected_calibration_error": float(np.sum(counts * np.abs(mean_score - hit_rate)) / score.size),
        "brier_score": float(np.mean((score - hit) ** 2)),
        "n_detections": int(score.size),
        "bins": bins,
    }
