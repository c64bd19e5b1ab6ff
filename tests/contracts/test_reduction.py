"""Every reduction: clouds stay apart, a seed gives the same points, odd inputs; and one that is not installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from ecotf.clustering import reduction
from ecotf.clustering.reduction import REDUCERS, UmapConfig, has_umap, reduce_points
from ecotf.errors import ConfigError

NEEDS = {"umap": pytest.mark.skipif(not has_umap(), reason="umap-learn is not installed")}
ENTRIES = [pytest.param(entry, id=entry.name, marks=NEEDS.get(entry.name, ())) for entry in REDUCERS]


@pytest.mark.parametrize("entry", ENTRIES)
def test_clouds_stay_apart(entry):
    fields = entry.config_class.model_fields
    config = entry.config_class(**({"dimensions": 3} if "dimensions" in fields else {}))
    rng = np.random.default_rng(0)
    points = np.repeat(3 * np.eye(3, 20), 30, axis=0) + rng.normal(0, 0.1, (90, 20))
    found = reduce_points(points, config, 1)
    assert found.dtype == np.float32 and found.shape == (90, 3 if "dimensions" in fields else 20)
    means = found.reshape(3, 30, -1).mean(axis=1)
    spread = max(np.linalg.norm(found[30 * k : 30 * k + 30] - means[k], axis=1).max() for k in range(3))
    apart = min(np.linalg.norm(means[i] - means[j]) for i in range(3) for j in range(i))
    assert apart > spread
    np.testing.assert_array_equal(found, reduce_points(points, config, 1))


@pytest.mark.parametrize("entry", [one for one in ENTRIES if one.id != "umap"])
@pytest.mark.parametrize("points", [np.ones((3, 4)), np.ones((40, 4)), np.zeros((0, 4))])
def test_few_and_equal_points(entry, points):
    found = reduce_points(points, entry.config_class(), 0)
    assert len(found) == len(points) and np.isfinite(found).all()


def test_a_reduction_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'ecotf\[umap\]', or choose reduce\.name=pca"):
        REDUCERS.build(UmapConfig())
    assert not reduction.has_umap()
