"""Clusters against labels: figures counted by hand, and what noise costs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from ecotf.evaluation.agreement import agreement, coverage_curve


def test_noise_is_wrong_over_all_clips_and_left_out_over_the_kept():
    labels = ["owl"] * 4 + ["rail"] * 4 + ["frog"] * 2
    clusters = np.array([0, 0, 0, -1, 1, 1, 1, 0, -1, -1])
    found = agreement(labels, clusters)
    assert found["accuracy"] == 0.6, "three owls and three rails are right, and no clip of noise"
    assert found["accuracy_kept"] == pytest.approx(6 / 7)
    assert found["ari"] == pytest.approx(adjusted_rand_score(labels, clusters))
    kept = clusters >= 0
    assert found["ami_kept"] == pytest.approx(adjusted_mutual_info_score(np.array(labels)[kept], clusters[kept]))
    nothing = agreement(labels, np.full(10, -1))
    assert nothing["accuracy"] == 0 and nothing["ami"] == 0 and np.isnan(nothing["ami_kept"])
    assert agreement(["a", "b"], np.array([0, 0]))["accuracy"] == 0.5, "two labels cannot both be one cluster"


def test_the_coverage_curve_keeps_the_surest():
    labels = ["owl"] * 5 + ["rail"] * 5
    clusters = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, -1])
    probability = np.array([0.9, 0.9, 0.8, 0.8, 0.1, 0.9, 0.9, 0.8, 0.8, 0.0])
    curve = coverage_curve(labels, clusters, probability)
    assert list(curve) == [1.0, 0.8, 0.6]
    assert curve[0.8]["ami"] == pytest.approx(1) and curve[0.8]["noise"] == 0
    assert curve[1.0]["ami"] < 1 and curve[1.0]["noise"] == 0.1
