"""Every clustering method: two clouds and a stray, odd inputs; the knee against cases made by hand."""

import numpy as np
import pytest

from ecotf.clustering import CLUSTERERS, NOISE, biggest, cluster, scaled
from ecotf.clustering.knee import knee
from ecotf.clustering.methods import DbscanConfig, nearest_distance_knee
from ecotf.config import validate

ENTRIES = [pytest.param(entry, id=entry.name) for entry in CLUSTERERS]


def clouds(columns=5):
    rng = np.random.default_rng(0)
    near = rng.normal(0, 0.05, (40, columns))
    other = rng.normal(1, 0.05, (15, columns))
    return np.concatenate([near, other, np.full((1, columns), 9.0)])


@pytest.mark.parametrize("entry", ENTRIES)
def test_clouds_are_found_and_the_stray_is_noise(entry):
    config = validate(
        entry.config_class, {"name": entry.name} | ({"min_size": 8} if entry.name == "hdbscan" else {}), ""
    )
    points = clouds()
    labels = cluster(points, config)
    assert labels.dtype == np.int64 and labels[-1] == NOISE
    main = biggest(labels)
    inside = labels == main
    assert inside[:40].mean() > 0.7 and not inside[40:].any(), "the larger cloud is the biggest cluster"
    assert set(labels[40:55]) & set(labels[:40]) <= {NOISE}
    assert (cluster(points, config) == labels).all(), "the same points give the same clusters"
    assert (cluster(points[::-1], config)[::-1] == NOISE).tolist() == (labels == NOISE).tolist()


@pytest.mark.parametrize("entry", ENTRIES)
def test_odd_points(entry):
    config = entry.config_class()
    assert cluster(np.empty((0, 3)), config).tolist() == []
    assert cluster(np.zeros((2, 3)), config).tolist() == [NOISE, NOISE]
    assert set(cluster(np.ones((6, 3)), config)) == {0}, "points in one place are one cluster"
    holed = np.ones((7, 3))
    holed[3, 1] = np.nan
    assert cluster(holed, config).tolist() == [0, 0, 0, NOISE, 0, 0, 0]


def test_the_knee_is_where_a_curve_turns_steep():
    corner = np.concatenate([np.linspace(0, 0.1, 80, endpoint=False), np.linspace(0.1, 1, 20)])
    assert knee(corner, smooth=False) == 80
    assert abs(knee(corner) - 80) <= 6, "of the fitted polynomial"
    assert knee(np.full(9, 2.0)) == 8 and knee(np.array([1.0])) == 0
    assert knee(np.array([0.0, 0.0, 0.0, 1.0]), smooth=False) == 2
    # 40 points a tenth apart and three that are far away: the distance that joins the 40
    points = np.concatenate([np.arange(40) / 10, [50.0, 70.0, 95.0]])[:, None]
    eps = nearest_distance_knee(points)
    assert eps == pytest.approx(0.1)
    assert cluster(points, DbscanConfig()).tolist() == [0] * 40 + [NOISE] * 3


def test_a_block_of_columns_has_one_scale():
    rng = np.random.default_rng(1)
    alone, block = rng.uniform(5, 9, 20), rng.normal(0, [1, 100], (20, 2))
    found = scaled([alone, block, np.full(20, 3.0)])
    assert found.shape == (20, 4) and found[:, 0].min() == 0 and found[:, 0].max() == 1
    assert found[:, 1:3].min() == 0 and found[:, 1:3].max() == 1 and np.ptp(found[:, 1]) < 0.1
    assert (found[:, 3] == 0).all()
    standard = scaled([alone, block], "standard")
    assert standard[:, 0].std() == pytest.approx(1) and standard[:, 1:].mean() == pytest.approx(0)
    assert (scaled([alone, block], "none")[:, 1:] == block).all()
