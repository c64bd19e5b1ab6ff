"""A map of points: two numbers each, so that a person sees what lies together."""

from __future__ import annotations

import numpy as np

_MOST = 5000  # points that t-SNE places; more lie around the centres of small clusters
_COLUMNS = 50


def map_points(points: np.ndarray, point_of: np.ndarray, seed: int) -> np.ndarray:
    """Place rows on a map.

    Up to 5,000 points are placed by t-SNE (van der Maaten and Hinton 2008). More are brought to so many small clusters
    first, and their rows lie scattered around their point, in a circle that grows with their number.

    Parameters
    ----------
    points
        float ``[k, columns]``.
    point_of
        The point of each row, int ``[n]``; -1 for a row without one.

    Returns
    -------
    float32 ``[n, 2]``, about -1 to 1; rows without a point lie in the lower left corner.
    """
    places, of_point = np.asarray(points, np.float32), np.arange(len(points))
    if len(points) > _MOST:
        from sklearn.cluster import MiniBatchKMeans

        model = MiniBatchKMeans(_MOST, init="random", n_init=1, batch_size=8192, random_state=seed).fit(places)
        of_point, places = model.labels_, model.cluster_centers_
    flat = _t_sne(places, seed)
    found = np.full((len(point_of), 2), -1.1, np.float32)
    inside = point_of >= 0
    spot = of_point[point_of[inside]]
    counts = np.bincount(spot, minlength=len(places))
    rng = np.random.default_rng(seed)
    angle, away = rng.uniform(0, 2 * np.pi, inside.sum()), np.sqrt(rng.uniform(0, 1, inside.sum()))
    # A spot of many rows is as wide as so many spots side by side, of which some thousand fill the map.
    radius = np.where(counts > 1, 0.5 / np.sqrt(max(1, len(point_of))) * np.sqrt(counts), 0.0)[spot]
    offset = (radius * away)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found[inside] = flat[spot] + offset
    return found


def _t_sne(points: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    n = len(points)
    if n < 4 or not np.ptp(points, axis=0).any():
        turn = 2 * np.pi * np.arange(n) / max(1, n)
        return 0.5 * np.stack([np.cos(turn), np.sin(turn)], axis=1) if n > 1 else np.zeros((n, 2))
    seen = np.asarray(points, np.float64)
    if seen.shape[1] > _COLUMNS and n > _COLUMNS:
        seen = PCA(_COLUMNS, random_state=seed).fit_transform(seen)
    start = "pca" if min(seen.shape) >= 2 else "random"
    found = TSNE(2, perplexity=min(30.0, (n - 1) / 3), init=start, random_state=seed, n_jobs=1).fit_transform(seen)
    found = found - found.mean(axis=0)
    return np.asarray(found / max(1e-9, np.abs(found).max()), np.float64)
