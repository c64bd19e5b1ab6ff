"""HDBSCAN's tree over rows that each stand for several points, such as the centres of many small clusters."""

from __future__ import annotations

import numpy as np

_MOST = 200_000  # points that the rows are taken for; of more, each row stands for its share
_BLOCK = 512
_CENTRES = 3  # rows, itself among them, that are dense together at least


def weighted_linkage(points: np.ndarray, weights: np.ndarray, min_samples: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Build the single-linkage tree of points that lie where the rows are, as many at each as it weighs.

    A row is dense within the distance that holds ``min_samples`` points, and two other rows: where each row has so
    many points itself, every row would be a cluster otherwise. So what fewer than three rows stand for is none.

    Parameters
    ----------
    points
        float64 ``[k, columns]``.
    weights
        How many points each row stands for, ``[k]``, at least 1.

    Returns
    -------
    The tree as `scipy.cluster.hierarchy` has it; where the first point of each row is, int ``[k]``; and how many points
    of the tree a point of the data is (less than 1 where there are too many).
    """
    from hdbscan._hdbscan_linkage import label

    share = min(1.0, _MOST / float(weights.sum()))
    copies = np.maximum(1, np.rint(weights * share)).astype(np.int64)
    core = _core_distances(points, weights, min_samples)
    first = np.concatenate([[0], np.cumsum(copies)[:-1]])
    near, far, distance = _spanning_tree(points, core)
    within = np.repeat(first, copies - 1)
    others = np.setdiff1d(np.arange(copies.sum()), first)
    edges = np.concatenate([
        np.stack([first[near], first[far], distance], axis=1),
        np.stack([within, others, np.repeat(core, copies - 1)], axis=1),
    ])  # fmt: skip
    edges = np.ascontiguousarray(edges[np.argsort(edges[:, 2], kind="stable")], np.float64)
    return np.asarray(label(edges)), first, share


def _core_distances(points: np.ndarray, weights: np.ndarray, min_samples: int) -> np.ndarray:
    from scipy.spatial.distance import cdist

    core = np.empty(len(points))
    for at in range(0, len(points), _BLOCK):
        distances = cdist(points[at : at + _BLOCK], points)
        order = np.argsort(distances, axis=1, kind="stable")
        held = np.cumsum(weights[order], axis=1)
        enough = (held < min_samples).sum(axis=1)
        far = order[np.arange(len(distances)), np.minimum(np.maximum(enough, _CENTRES - 1), len(points) - 1)]
        core[at : at + _BLOCK] = distances[np.arange(len(distances)), far]
    return core


def _spanning_tree(points: np.ndarray, core: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Span the mutual reachability with least length (Prim); memory grows with the rows alone."""
    n = len(points)
    best, parent = np.full(n, np.inf), np.zeros(n, np.int64)
    outside = np.ones(n, bool)
    near, far, distance = np.zeros(n - 1, np.int64), np.zeros(n - 1, np.int64), np.zeros(n - 1)
    now = 0
    squares = (points**2).sum(axis=1)
    for step in range(n - 1):
        outside[now] = False
        away = np.sqrt(np.maximum(0.0, squares + squares[now] - 2 * (points @ points[now])))
        reach = np.maximum(np.maximum(away, core), core[now])
        closer = outside & (reach < best)
        best[closer], parent[closer] = reach[closer], now
        now = int(np.where(outside, best, np.inf).argmin())
        near[step], far[step], distance[step] = parent[now], now, best[now]
    return near, far, distance
