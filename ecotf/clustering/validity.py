"""How good clusters are, judged without labels: by density, and by whether they come again."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from ecotf.clustering.methods import NOISE

_MOST = 3000
_POWER = 64


def density_validity(points: np.ndarray, labels: np.ndarray, seed: int = 0, most: int = _MOST) -> float:
    """Compute DBCV: how much denser clusters are inside than between them (Moulavi et al., SDM 2014); -1 to 1.

    Noise counts as clustered with validity 0, so leaving points out costs. Of more than ``most`` points, a random
    sample is judged. More than 64 columns count as 64: the figure takes distances to that power, and by then the
    nearest point alone decides.

    Returns
    -------
    NaN of fewer than two clusters, and where it cannot be computed in so many columns.
    """
    from hdbscan.validity import validity_index

    if len(points) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), most, replace=False))
        points, labels = points[chosen], labels[chosen]
    # A cluster of one point has no density, and of points in one place an infinite one.
    names, counts = np.unique(labels[labels != NOISE], return_counts=True)
    judged = np.where(np.isin(labels, names[counts > 1]), labels, NOISE)
    names = np.unique(judged[judged != NOISE])
    if len(names) < 2:
        return math.nan
    compact = np.where(judged == NOISE, NOISE, np.searchsorted(names, judged))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            # The figure has no scale. Its powers stay within what numbers hold where distances are about 1.
            scaled = np.asarray(points, np.float64)
            spread = float(scaled.std(axis=0).max()) * math.sqrt(2 * min(scaled.shape[1], _POWER))
            columns = min(scaled.shape[1], _POWER)
            found = float(validity_index(scaled / (spread or 1.0), compact, d=columns))
        except (ValueError, FloatingPointError, AssertionError):
            return math.nan
    return found if math.isfinite(found) else math.nan


def stability(
    points: np.ndarray,
    labels: np.ndarray,
    again: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    seed: int,
    weights: np.ndarray | None = None,
    resamples: int = 10,
    share: float = 0.8,
) -> float:
    """Compute how much clusters come again: the mean adjusted Rand index with clusterings of random parts.

    Parts are drawn without putting back: a point that comes twice would be a dense place. Noise counts as one cluster.

    Parameters
    ----------
    points, labels
        What was clustered, and the result.
    again
        Clusters some of the points, with their weights, in the same way.
    share
        Of the points in a part.

    Returns
    -------
    From about 0 (chance) to 1; NaN of fewer than two clusters.
    """
    from sklearn.metrics import adjusted_rand_score

    if len(np.unique(labels[labels != NOISE])) < 2:
        return math.nan
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        part = np.sort(rng.choice(len(points), max(3, round(share * len(points))), replace=False))
        found.append(adjusted_rand_score(labels[part], again(points[part], None if weights is None else weights[part])))
    return float(np.mean(found))
