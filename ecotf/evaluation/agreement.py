"""How clusters agree with labels that were not used to make them.

Noise is wrong wherever all clips are asked for: in AMI, NMI and ARI all noise is one cluster more, in which clips of
all labels lie together, and in the accuracy no clip of it is right. (As a cluster of its own, each clip of noise would
raise NMI.) Over the clips that are kept, noise is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

NOISE = -1
SHARES = (1.0, 0.8, 0.6)
"""Shares of all clips that the coverage curve keeps."""


def agreement(labels: Sequence[str] | np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Compare clusters with labels.

    Parameters
    ----------
    labels
        The label of each clip, ``[n]``.
    clusters
        Its cluster, int ``[n]``; -1 is noise.

    Returns
    -------
    ``ami``, ``nmi``, ``ari`` and ``accuracy`` (a cluster has at most one label and a label one cluster: the best such
    choice, by the Hungarian method) over all clips, and the same with ``_kept`` without noise; NaN where none is kept.

    Examples
    --------
    >>> found = agreement(["owl", "owl", "rail", "rail"], np.array([1, 1, 0, -1]))
    >>> found["accuracy"], found["accuracy_kept"], found["ami_kept"]
    (0.75, 1.0, 1.0)
    """
    truth = np.unique(np.asarray(labels, str), return_inverse=True)[1]
    clusters = np.asarray(clusters, np.int64)
    kept = clusters != NOISE
    figures = _figures(truth, clusters, kept)
    inside = _figures(truth[kept], clusters[kept], kept[kept]) if kept.any() else dict.fromkeys(figures, math.nan)
    return {**figures, **{f"{name}_kept": value for name, value in inside.items()}}


def coverage_curve(
    labels: Sequence[str] | np.ndarray, clusters: np.ndarray, probability: np.ndarray, shares: Sequence[float] = SHARES
) -> dict[float, dict[str, Any]]:
    """Compare clusters with labels over the clips that are surest: AMI and ARI where a share of all clips is kept.

    Clips are ranked by ``probability``, noise last; among the kept ones noise, if any, is wrong as in `agreement`.

    Returns
    -------
    By share: ``ami``, ``ari``, and ``noise``, the share of noise among those kept.
    """
    truth = np.unique(np.asarray(labels, str), return_inverse=True)[1]
    clusters = np.asarray(clusters, np.int64)
    order = np.lexsort((-np.asarray(probability, np.float64), clusters == NOISE))
    found = {}
    for share in shares:
        best = order[: max(1, round(share * len(order)))]
        figures = _figures(truth[best], clusters[best], clusters[best] != NOISE)
        found[share] = {"ami": figures["ami"], "ari": figures["ari"], "noise": float((clusters[best] == NOISE).mean())}
    return found


def _figures(truth: np.ndarray, clusters: np.ndarray, kept: np.ndarray) -> dict[str, float]:
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score

    right = 0.0
    if kept.any():
        names, columns = np.unique(clusters[kept], return_inverse=True)
        counts = np.zeros((truth.max() + 1, len(names)))
        np.add.at(counts, (truth[kept], columns), 1)
        right = counts[linear_sum_assignment(-counts)].sum()
    return {
        "ami": float(adjusted_mutual_info_score(truth, clusters)),
        "nmi": float(normalized_mutual_info_score(truth, clusters)),
        "ari": float(adjusted_rand_score(truth, clusters)),
        "accuracy": float(right / len(truth)),
    }
