"""The bootstrap over recordings, against resampling the tables themselves."""

import time

import numpy as np
import pytest

from ecotf.evaluation import average_precision, recall_at_precision, scores_at_threshold
from ecotf.evaluation.bootstrap import interval, mean_defined, resample_weights, resampled_detection, resampled_f1
from ecotf.evaluation.matching import Track


def random_track(rng, n_recordings, n_candidates, decimals=2):
    hits = rng.random(n_candidates) < 0.4
    scores = np.round(np.clip(rng.normal(0.35 + 0.3 * hits, 0.2), 0, 1), decimals)
    recordings = rng.integers(0, n_recordings, n_candidates)
    missed = rng.integers(0, 3, n_recordings)
    return Track(scores, hits, recordings, np.bincount(recordings[hits], minlength=n_recordings) + missed)


def repeated(track, weight):
    """The tables of one resample, with the recordings really repeated."""
    times = weight[track.recording_index]
    return np.repeat(track.scores, times), np.repeat(track.hits, times), int(weight @ track.calls_per_recording)


@pytest.mark.parametrize("n_candidates", [0, 1, 40, 300])
def test_each_resample_is_the_repeated_table(n_candidates):
    track = random_track(np.random.default_rng(n_candidates), 9, n_candidates)
    weights = resample_weights(9, 50, seed=1)
    found = resampled_detection(track, 0.5, weights)
    for i, weight in enumerate(weights):
        table = repeated(track, weight)
        assert found["ap"][i] == pytest.approx(average_precision(*table), nan_ok=True)
        assert found["recall_at_95_precision"][i] == pytest.approx(recall_at_precision(*table, 0.95), nan_ok=True)
        expected = scores_at_threshold(*table, 0.5)
        for name, value in expected._asdict().items():
            assert found[name][i] == pytest.approx(value, nan_ok=True)


def test_weights_draw_as_many_as_there_are_and_are_seeded():
    weights = resample_weights(24, 4000, seed=3)
    assert weights.shape == (4000, 24)
    assert (weights.sum(axis=1) == 24).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.1)
    np.testing.assert_allclose(weights.var(axis=0), 1 - 1 / 24, atol=0.15)
    np.testing.assert_array_equal(weights, resample_weights(24, 4000, seed=3))
    assert (weights != resample_weights(24, 4000, seed=4)).any()


def test_groups_are_drawn_whole():
    weights = resample_weights(5, 300, seed=0, groups=["a", "b", "a", "c", "b"])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        truth = rng.normal(10, 2, 40)
        weights = resample_weights(40, 400, seed=trial)
        low, high = interval(weights @ truth / 40, weights)
        covered += low <= 10 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_no_interval_from_one_recording_or_one_group_or_nothing_defined():
    one = resample_weights(1, 100, seed=0)
    assert interval(np.ones(100), one) == [None, None]
    same_group = resample_weights(4, 100, seed=0, groups=["a"] * 4)
    assert interval(np.ones(100), same_group) == [None, None]
    many = resample_weights(4, 100, seed=0)
    assert interval(np.full(100, np.nan), many) == [None, None]
    assert interval(np.ones(100), many) == [1.0, 1.0]
    assert interval(np.zeros(0), resample_weights(4, 0, seed=0)) == [None, None]


def test_label_without_call_in_a_resample_takes_no_part():
    n_hits, n_detections, n_calls = np.array([[1, 0], [1, 2]]), np.array([[2, 0], [1, 3]]), np.array([[1, 0], [3, 2]])
    weights = np.array([[2, 0], [1, 1], [0, 2]])
    f1 = resampled_f1(n_hits, n_detections, n_calls, weights)
    np.testing.assert_allclose(f1, [[2 / 3, np.nan], [4 / 7, 4 / 5], [1 / 2, 4 / 5]])
    np.testing.assert_allclose(mean_defined(f1), [2 / 3, (4 / 7 + 4 / 5) / 2, 0.65])
    assert np.isnan(mean_defined(np.full(3, np.nan)))


def test_a_thousand_resamples_of_a_season_take_seconds():
    track = random_track(np.random.default_rng(2), 1000, 100_000, decimals=9)
    start = time.process_time()
    resampled_detection(track, 0.5, resample_weights(1000, 1000, seed=0))
    assert time.process_time() - start < 8  # 1 to 2 s on an idle machine
