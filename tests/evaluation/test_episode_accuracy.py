"""Accuracy in episodes, on rows of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ecotf.errors import DataError
from ecotf.evaluation.episodes import accuracy_with_interval, episode_accuracies, episodes_of_rows, head_answer
from ecotf.models.heads.nearest_mean import NearestMeanConfig
from ecotf.pipelines.episodes import EpisodeConfig

SIZE = EpisodeConfig(way=3, shots=2, queries=2, episodes=40)
LABELS = np.repeat(["crow", "owl", "robin", "wren"], 8)
GROUPS = np.arange(32) // 2


def test_the_nearest_mean_is_the_nearest_mean():
    rows = np.random.default_rng(0).normal(size=(32, 5)) + np.repeat(np.eye(4, 5), 8, axis=0)
    episodes = episodes_of_rows(LABELS, GROUPS, SIZE, seed=1)
    given = episode_accuracies(rows, episodes, head_answer(NearestMeanConfig(centred=False, normalised=False)))
    expected = []
    for own in episodes.rows:
        assert not set(GROUPS[own[:6]]) & set(GROUPS[own[6:]])
        means = rows[own[:6]].reshape(3, 2, 5).mean(axis=1)
        nearest = ((rows[own[6:], None] - means) ** 2).sum(axis=2).argmin(axis=1)
        assert (LABELS[own[6:]] == LABELS[own[:6:2]].repeat(2)).all()
        expected.append((nearest == np.repeat(np.arange(3), 2)).mean())
    np.testing.assert_array_equal(given, expected)
    again = episodes_of_rows(LABELS, GROUPS, SIZE, seed=1)
    np.testing.assert_array_equal(episodes.rows, again.rows)


def test_the_interval_is_normal_over_episodes():
    found = accuracy_with_interval(np.array([0.0, 1.0] * 50))
    half = 1.96 * np.sqrt(0.25 * 100 / 99) / 10
    np.testing.assert_allclose(found["interval"], [0.5 - half, 0.5 + half], rtol=1e-4)
    assert found["episodes"] == 100


def test_what_cannot_be_judged_is_one_line():
    for labels, size, said in (
        (LABELS, EpisodeConfig(way=5, shots=1), "5-way episodes need 5 classes with enough clips, and 4 of 4 have"),
        (LABELS, EpisodeConfig(way=2, shots=8), "crow is not drawn: it has 8 clips"),
    ):
        with pytest.raises(DataError, match=said) as refused:
            episodes_of_rows(labels, GROUPS, size, seed=1)
        assert "\n" not in str(refused.value)
    with pytest.raises(DataError, match="32 of 32 rows are not of finite numbers"):
        episode_accuracies(
            np.full((32, 2), np.nan), episodes_of_rows(LABELS, GROUPS, SIZE, 1), head_answer(NearestMeanConfig())
        )
