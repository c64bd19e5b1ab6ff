"""Thresholds of few calls: the mean of those of resampled detections."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecotf.errors import DataError
from ecotf.evaluation.average_precision import best_f1_threshold
from ecotf.evaluation.matching import Track
from ecotf.evaluation.steady_thresholds import fit_steady_thresholds, steady_threshold


def track_of(scores, hits, n_calls):
    scores = np.array(scores, float)
    return Track(scores, np.array(hits, bool), np.zeros(len(scores), np.int64), np.array([n_calls], np.int64))


def table_of(rows, columns=("recording", "start_s", "end_s", "label", "score")):
    return pd.DataFrame(rows, columns=list(columns))


def test_it_lies_between_what_is_told_apart():
    threshold = steady_threshold(track_of([0.9] * 20 + [0.2] * 20, [True] * 20 + [False] * 20, 20))
    assert threshold == pytest.approx(0.55)


def test_one_low_call_of_three_does_not_decide_alone():
    """Three calls, one of them low: the threshold of highest F1 is below it, and so lets all that is like it pass."""
    scores = [0.88, 0.70, 0.67, 0.55, 0.25, 0.096, 0.089, 0.08]
    hits = [True, False, False, True, True, False, False, False]
    assert best_f1_threshold(scores, hits, 3) == pytest.approx(0.173)
    assert 0.25 < steady_threshold(track_of(scores, hits, 3)) < 0.55


def test_it_is_the_mean_of_all_that_could_be_drawn():
    """Two detections can be drawn with weights 0, 1, 2 ...: their thresholds and chances can be written down."""
    chance_of_none = np.exp(-1.0)  # of a Poisson number of mean 1
    both, upper = (1 - chance_of_none) * (1 - chance_of_none), (1 - chance_of_none) * chance_of_none
    expected = (both * 0.6 + upper * 0.4) / (both + upper)  # between the two, and between the upper one and 0
    found = [steady_threshold(track_of([0.8, 0.4], [True, False], 1), seed) for seed in range(50)]
    assert np.mean(found) == pytest.approx(expected, abs=0.005)


def test_missed_calls_are_drawn_too():
    """Missed calls make a low threshold worth more: F1 gains by recall."""
    scores, hits = [0.9, 0.6, 0.5, 0.4], [True, False, False, True]
    few, many = (steady_threshold(track_of(scores, hits, n)) for n in (2, 20))
    assert many < few


def test_seed_repeats_and_scores_of_equal_height_stay_together():
    track = track_of([0.5, 0.5, 0.5, 0.1], [True, False, True, False], 2)
    assert steady_threshold(track, 3) == steady_threshold(track, 3)
    assert all(steady_threshold(track, seed) < 0.5 for seed in range(20))


@pytest.mark.parametrize("seed", range(5))
def test_the_last_bits_of_scores_hardly_move_it(seed):
    """Trainings on two machines: scores of a network that tells little apart are nearly alike, and change places."""
    rng = np.random.default_rng(seed)
    scores, hits = 0.503 + 0.002 * rng.random(12), rng.random(12) < 0.5
    hits[0] = True
    again = scores + rng.choice([-1, 1], 12) / 4096
    assert np.any(np.argsort(scores) != np.argsort(again))
    one, other = (steady_threshold(track_of(these, hits, int(hits.sum()) + 2)) for these in (scores, again))
    assert one == other


def test_few_calls_and_guesses_are_told():
    calls = [("x", 2.0 * t, 2.0 * t + 1, "A") for t in range(12)] + [("y", 0.0, 1.0, "A"), ("y", 5.0, 6.0, "B")]
    annotations = table_of([*calls, ("y", 9.0, 9.5, "C")], ("recording", "start_s", "end_s", "label"))
    detections = table_of([(*call, 0.8) for call in calls])
    every = pd.concat([detections, detections.assign(label="call")])
    fitted = fit_steady_thresholds(every, annotations, ["x", "y"], ["A", "B", "C"], 0.25)
    assert fitted.unfitted == ["C"]
    assert fitted.thresholds["C"] == np.median([fitted.thresholds["A"], fitted.thresholds["B"]])
    assert fitted.notes == [
        f"thresholds of few calls, or of one recording: B {fitted.thresholds['B']:.2f} (1 call, 1 recording); "
        "listen before you count",
    ]


def test_many_classes_of_few_calls_are_one_short_line():
    labels = [f"bird {k}" for k in range(8)]
    rows = [("x", 2.0 * k, 2.0 * k + 1, label, 0.7) for k, label in enumerate(labels)]
    fitted = fit_steady_thresholds(table_of(rows), table_of(rows), ["x"], labels)
    assert fitted.notes[0].count("1 call, 1 recording") == 5
    assert "and 3 more" in fitted.notes[0]


def test_nothing_to_fit_on_and_impossible_tables():
    empty = table_of([("x", 0.0, 5.0, "")], ("recording", "start_s", "end_s", "label"))
    fitted = fit_steady_thresholds(table_of([]), empty, ["x"], ["A"])
    assert fitted.thresholds == {"A": 0.5, "call": 0.5}
    assert fitted.unfitted == ["A", "call"]
    with pytest.raises(DataError, match="'call' cannot be a species"):
        fit_steady_thresholds(table_of([]), empty, ["x"], ["call"])
    with pytest.raises(DataError, match="from 0 to 1 to fit thresholds, found 7 to 7"):
        fit_steady_thresholds(table_of([("x", 0.0, 1.0, "A", 7.0)]), empty, ["x"], ["A"])


def test_a_hundred_thousand_candidates_take_seconds():
    rng = np.random.default_rng(0)
    hits = rng.random(100_000) < 0.2
    scores = rng.beta(2 + 3 * hits, 3)
    threshold = steady_threshold(track_of(scores, hits, int(hits.sum()) + 1000))
    assert threshold == pytest.approx(best_f1_threshold(scores, hits, int(hits.sum()) + 1000), abs=0.02)
