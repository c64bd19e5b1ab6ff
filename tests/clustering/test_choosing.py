"""Rows to clusters: chosen without labels, many rows through small clusters, odd rows, and the map."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ecotf.clustering.choosing import ClusteringConfig, cluster_rows
from ecotf.clustering.map import map_points
from ecotf.clustering.validity import density_validity, stability
from ecotf.config import validate
from ecotf.errors import DataError


class Array:
    """Rows in memory."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.asarray(values, np.float16)

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        return self.values[positions].astype(np.float32)

    def blocks(self, size: int = 8192):
        for at in range(0, len(self.values), size):
            yield at, self.values[at : at + size]


def clouds(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clips of six sounds, and a tenth of strays (-1)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (6, 16))
    truth = np.where(rng.random(n) < 0.1, -1, rng.integers(0, 6, n))
    strays = rng.normal(0, 2, (n, 16))
    return np.where((truth < 0)[:, None], strays, centres[truth] + rng.normal(0, 0.15, (n, 16))), truth


def config(**values: object) -> ClusteringConfig:
    usual = {
        "scale": "none",
        "reduce": {"name": "none"},
        "cluster": {"name": "hdbscan", "min_size": 10},
        "resamples": 3,
    }
    return validate(ClusteringConfig, usual | values, "")


@pytest.mark.parametrize("over", [100_000, 1000], ids=["one by one", "through small clusters"])
def test_sounds_are_found(over):
    rows, truth = clouds(2500)
    found = cluster_rows(Array(rows), config(micro={"over": over, "clusters": 300}), 1, lambda line: None)
    kept = found.labels >= 0
    assert adjusted_rand_score(truth[kept], found.labels[kept]) > 0.97
    assert kept[truth >= 0].mean() > 0.9 and (found.probability[~kept] == 0).all()
    assert found.figures["clusters"] == 6 and found.figures["noise"] == pytest.approx(1 - kept.mean(), abs=0.01)
    assert (np.diff(np.bincount(found.labels[kept])) <= 0).all(), "the largest cluster comes first"
    assert found.figures["stability"] > 0.8
    again = cluster_rows(Array(rows), config(micro={"over": over, "clusters": 300}), 1, lambda line: None)
    np.testing.assert_array_equal(found.labels, again.labels)


def test_one_of_several_is_chosen_without_labels():
    rows, _truth = clouds(600)
    found = cluster_rows(Array(rows), config(min_sizes=(150, 12, 90)), 1, lambda line: None)
    figures = [one.dbcv for one in found.candidates]
    assert len(figures) == 3 and found.chosen == 1 == int(np.nanargmax(figures))
    assert found.figures["min_size"] == 12 and found.figures["clusters"] == 6


def test_odd_rows():
    rows, _ = clouds(300)
    rows[7, 3] = np.nan
    lines: list[str] = []
    found = cluster_rows(Array(rows), config(), 1, lines.append)
    assert found.labels[7] == -1 and found.point_of[7] == -1 and "1 of 300 embeddings" in lines[0]
    with pytest.raises(DataError, match="8 clips cannot be clustered: the smallest cluster has 10"):
        cluster_rows(Array(rows[8:16]), config(), 1, lines.append)
    alike = cluster_rows(Array(np.ones((50, 4))), config(reduce={"name": "spectral"}), 1, lines.append)
    assert (alike.labels == 0).all() and np.isnan(alike.figures["dbcv"])
    rng = np.random.default_rng(0)
    noise = cluster_rows(
        Array(rng.uniform(-1, 1, (40, 12))), config(cluster={"name": "hdbscan", "min_size": 15}), 1, print
    )
    assert (noise.labels == -1).all() and noise.figures["noise"] == 1
    places = map_points(found.points, found.point_of, 1)
    assert places.shape == (300, 2) and places.dtype == np.float32 and np.isfinite(places).all()
    assert (places[7] == np.float32(-1.1)).all()


def test_figures_without_labels_know_good_from_bad():
    rows, truth = clouds(400)
    shuffled = np.random.default_rng(1).permutation(truth)
    assert density_validity(rows, truth) > 0.3 > density_validity(rows, shuffled)
    assert np.isnan(density_validity(rows, np.zeros(400, int)))
    assert stability(rows, truth, lambda some, _: some[:, 0] > 0, 1) < 0.5
    keys = {row.tobytes(): label for row, label in zip(rows, truth, strict=True)}
    assert stability(rows, truth, lambda some, _: np.array([keys[row.tobytes()] for row in some]), 1) == 1
