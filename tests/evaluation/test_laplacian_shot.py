"""LaplacianShot: queries that lie together are named together."""

from __future__ import annotations

import numpy as np

from ecotf.evaluation.laplacian_shot import laplacian_shot
from ecotf.models.heads.nearest_mean import NearestMeanConfig, fit_nearest_mean


def test_it_beats_the_nearest_mean_where_queries_lie_in_clouds():
    """The one example of each class lies at the edge of its cloud, so its mean is off; the cloud is not."""
    rng = np.random.default_rng(0)
    right = {"near": [], "together": []}
    for _ in range(40):
        places = rng.normal(size=(4, 8))
        truth = np.repeat(np.arange(4), 12)
        queries = places[truth] + 0.5 * rng.normal(size=(48, 8))
        support = places + 0.8 * rng.normal(size=(4, 8))
        head = fit_nearest_mean(NearestMeanConfig(), support, np.eye(4))
        nearest = head.predict(queries).argmax(axis=1)
        found = laplacian_shot(support, np.arange(4), queries, weight=1.0)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        np.testing.assert_array_equal(laplacian_shot(support, np.arange(4), queries, weight=0).argmax(axis=1), nearest)
        right["near"].append((nearest == truth).mean())
        right["together"].append((found.argmax(axis=1) == truth).mean())
    assert np.mean(right["together"]) > np.mean(right["near"]) + 0.015


def test_a_query_alone_has_the_nearest_mean():
    support, query = np.eye(3), np.array([[0.1, 0.9, 0.2]])
    assert laplacian_shot(support, np.arange(3), query).argmax() == 1
