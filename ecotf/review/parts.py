"""Split one cluster: cluster again inside of it, so that every clip of it is in a part."""

from __future__ import annotations

import numpy as np

from ecotf.clustering.methods import NOISE, HdbscanConfig, cluster
from ecotf.errors import DataError

_MOST_FITTED = 5000
_COLUMNS = 16
_SMALLEST_SHARE = 0.05


def split_in_parts(rows: np.ndarray) -> list[np.ndarray]:
    """Find the parts of a cluster.

    HDBSCAN looks for denser groups among the rows, of length 1 and reduced by PCA; where it finds no two, k-means
    makes two. Clips that are in no group go to the nearest one. Of more than 5,000 clips, an even choice is clustered.

    Parameters
    ----------
    rows
        ``[clips, numbers]``, their embeddings.

    Returns
    -------
    The positions of the clips of each part, the largest part first; at least two parts.

    Raises
    ------
    DataError
        There is one clip only, or all are alike.

    Examples
    --------
    >>> rows = np.repeat([[1.0, 0.0], [0.0, 1.0]], [5, 3], axis=0) + np.linspace(0, 0.1, 16).reshape(8, 2)
    >>> [part.tolist() for part in split_in_parts(rows)]
    [[0, 1, 2, 3, 4], [5, 6, 7]]
    """
    finite = np.nan_to_num(np.asarray(rows, np.float64), posinf=0.0, neginf=0.0)
    lengths = np.linalg.norm(finite, axis=1, keepdims=True)
    points = _reduced(finite / np.maximum(lengths, 1e-12))
    if len(points) < 2 or not np.ptp(points, axis=0).max(initial=0.0) > 1e-9:
        raise DataError("its clips are all alike, so there is nothing to split")
    chosen = np.unique(np.linspace(0, len(points) - 1, min(len(points), _MOST_FITTED)).round().astype(int))
    fitted = points[chosen]
    least = max(2, round(_SMALLEST_SHARE * len(fitted)))
    labels = cluster(fitted, HdbscanConfig(min_size=least, min_samples=min(least, 5)))
    if len(np.unique(labels[labels != NOISE])) < 2:
        labels = _two_means(fitted)
    means = np.stack([fitted[labels == one].mean(axis=0) for one in np.unique(labels[labels != NOISE])])
    nearest = ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    parts = [np.flatnonzero(nearest == one) for one in range(len(means))]
    return sorted((part for part in parts if len(part)), key=lambda part: (-len(part), part[0]))


def _reduced(points: np.ndarray) -> np.ndarray:
    from sklearn.decomposition import PCA

    columns = min(_COLUMNS, *points.shape)
    if columns < 2:
        return points
    reduced: np.ndarray = PCA(
        columns, svd_solver="full" if points.size < 1e7 else "randomized", random_state=0
    ).fit_transform(points)
    return reduced


def _two_means(points: np.ndarray) -> np.ndarray:
    from sklearn.cluster import KMeans

    found: np.ndarray = KMeans(2, n_init=10, random_state=0).fit_predict(points)
    return found
