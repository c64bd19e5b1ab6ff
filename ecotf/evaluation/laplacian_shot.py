"""LaplacianShot: name all queries together, so that those that lie close together get the same name.

Ziko et al., ICML 2020 (arXiv:2006.15486). It is transductive: the name of a query depends on the other queries, so it
is for a batch of clips that are there at once, never for a recorder, and its accuracy does not compare with that of a
head which sees one clip at a time. Nothing uses it unless it is asked for.
"""

from __future__ import annotations

import numpy as np

from ecotf.models.heads.nearest_mean import NearestMeanConfig, fit_nearest_mean


def laplacian_shot(
    support: np.ndarray,
    codes: np.ndarray,
    queries: np.ndarray,
    neighbours: int = 3,
    weight: float = 0.7,
    most_steps: int = 20,
) -> np.ndarray:
    """Name the queries of an episode.

    The embeddings are centred with the mean of the support and brought to length 1. What is minimised is the distance
    of each query to the mean of its class, less ``weight`` times how much each agrees with its nearest queries.

    Parameters
    ----------
    support
        float ``[n, f]``.
    codes
        int ``[n]``: the class of each row of the support, from 0 on.
    queries
        float ``[m, f]``.
    neighbours
        Queries are neighbours where one is among so many nearest of the other; published 3.
    weight
        Of neighbours; 0 is the nearest mean. Published: chosen on validation classes, from 0.1 to 1.5; it may not be
        chosen on the classes that are tested.
    most_steps
        Of the bound that is minimised; it ends before where nothing changes any more.

    Returns
    -------
    float64 ``[m, classes]``, 0 to 1, that add up to 1.

    Examples
    --------
    >>> support, queries = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.1, 1.0], [0.0, 0.9], [1.0, 0.2]])
    >>> laplacian_shot(support, np.array([0, 1]), queries).argmax(axis=1)
    array([0, 0, 1])
    """
    from scipy.special import softmax

    targets = np.eye(int(codes.max()) + 1)[codes]
    head = fit_nearest_mean(NearestMeanConfig(), support, targets)
    closeness = head.similarity(queries)
    seen = head.seen(queries)
    close = _neighbours(seen, min(neighbours, len(seen) - 1))
    shares = softmax(closeness, axis=1)
    before = np.inf
    for _ in range(most_steps):
        shares = softmax(closeness + weight * close @ shares, axis=1)
        # of the bound: what it costs to be far from the means, less the agreement, and the entropy that keeps it soft
        cost = (shares * np.log(np.maximum(shares, 1e-20)) - shares * closeness).sum()
        cost -= 0.5 * weight * (shares * (close @ shares)).sum()
        if abs(before - cost) <= 1e-6 * max(1.0, abs(before)):
            break
        before = cost
    return np.asarray(shares)


def _neighbours(rows: np.ndarray, n: int) -> np.ndarray:
    """Mark the ``n`` nearest of each row, in both directions, float64 ``[m, m]``."""
    close = np.zeros((len(rows), len(rows)))
    if n > 0:
        products = rows @ rows.T
        squares = np.diag(products)
        distances = squares[:, None] + squares - 2 * products
        np.fill_diagonal(distances, np.inf)
        np.put_along_axis(close, np.argsort(distances, axis=1, kind="stable")[:, :n], 1.0, axis=1)
    return np.maximum(close, close.T)
