"""Average precision and its relatives, against scikit-learn and counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, precision_recall_fscore_support

from ecotf.errors import DataError
from ecotf.evaluation import (
    average_precision,
    best_f1_threshold,
    precision_recall,
    recall_at_precision,
    scores_at_threshold,
)

candidates = st.lists(st.tuples(st.integers(0, 12).map(lambda n: n / 12), st.booleans()), min_size=1, max_size=60)


@given(candidates.filter(lambda rows: any(hit for _, hit in rows)))
def test_without_missed_calls_it_is_sklearn(rows):
    scores, hits = np.array([s for s, _ in rows]), np.array([h for _, h in rows])
    assert average_precision(scores, hits, hits.sum()) == pytest.approx(average_precision_score(hits, scores))
    precision, recall, thresholds = precision_recall_curve(hits, scores)
    curve = precision_recall(scores, hits, hits.sum())
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    np.testing.assert_array_equal(curve.thresholds[::-1], thresholds)


@given(candidates, st.integers(0, 20))
def test_missed_calls_scale_recall(rows, n_missed):
    scores, hits = np.array([s for s, _ in rows]), np.array([h for _, h in rows])
    n_calls = int(hits.sum()) + n_missed
    if not n_calls:
        assert np.isnan(average_precision(scores, hits, 0))
        return
    complete = average_precision_score(hits, scores) if hits.any() else 0.0
    assert average_precision(scores, hits, n_calls) == pytest.approx(complete * hits.sum() / n_calls)


@given(candidates, st.integers(1, 20), st.integers(0, 12).map(lambda n: n / 12))
def test_point_scores_are_sklearns_with_missed_calls_as_negatives_that_are_true(rows, n_missed, threshold):
    scores, hits = np.array([s for s, _ in rows]), np.array([h for _, h in rows])
    truth = np.append(hits, np.ones(n_missed, bool))
    predicted = np.append(scores >= threshold, np.zeros(n_missed, bool))
    expected = precision_recall_fscore_support(truth, predicted, average="binary", zero_division=np.nan)[:3]
    found = scores_at_threshold(scores, hits, int(truth.sum()), threshold)
    if not predicted.any():
        assert np.isnan(found.precision) and found.recall == 0 and found.f1 == 0
    else:
        np.testing.assert_allclose(found, expected)


@given(candidates, st.integers(0, 10), st.sampled_from([0.5, 0.8, 0.95]))
def test_recall_at_precision_by_trying_every_score(rows, n_missed, wanted):
    scores, hits = np.array([s for s, _ in rows]), np.array([h for _, h in rows])
    n_calls = int(hits.sum()) + n_missed
    if n_calls:
        recalls = [hits[scores >= t].sum() / n_calls for t in scores if hits[scores >= t].mean() >= wanted]
        assert recall_at_precision(scores, hits, n_calls, wanted) == pytest.approx(max(recalls, default=0.0))


@given(candidates.filter(lambda rows: any(hit for _, hit in rows)), st.integers(0, 10))
def test_best_f1_threshold_is_best_and_not_on_a_score_edge(rows, n_missed):
    scores, hits = np.array([s for s, _ in rows]), np.array([h for _, h in rows])
    n_calls = int(hits.sum()) + n_missed
    threshold = best_f1_threshold(scores, hits, n_calls)
    best = max(scores_at_threshold(scores, hits, n_calls, t).f1 for t in scores)
    assert scores_at_threshold(scores, hits, n_calls, threshold).f1 == pytest.approx(best)
    kept, dropped = scores[scores >= threshold], scores[scores < threshold]
    if dropped.size:
        assert threshold == pytest.approx((kept.min() + dropped.max()) / 2)


def test_ties_are_one_group():
    assert average_precision([0.5, 0.5, 0.5, 0.5], [True, False, False, True], 2) == pytest.approx(0.5)
    assert average_precision([0.5, 0.5, 0.5, 0.5], [False, False, True, True], 2) == pytest.approx(0.5)


def test_degenerate_inputs():
    assert average_precision([], [], 3) == 0
    assert average_precision([0.1, 0.9], [False, False], 3) == 0
    assert np.isnan(average_precision([0.1], [False], 0))
    assert recall_at_precision([], [], 3) == 0
    assert np.isnan(recall_at_precision([0.4], [False], 0))
    assert np.isnan(best_f1_threshold([], [], 3))
    assert np.isnan(best_f1_threshold([0.4], [False], 3))
    nothing = scores_at_threshold([], [], 0, 0.5)
    assert all(np.isnan(value) for value in nothing)
    false_alarms = scores_at_threshold([0.9], [False], 0, 0.5)
    assert false_alarms.precision == 0 and np.isnan(false_alarms.recall) and false_alarms.f1 == 0


def test_impossible_inputs_are_refused():
    with pytest.raises(DataError, match="1 of 2 scores are not finite"):
        average_precision([0.5, np.nan], [True, False], 1)
    with pytest.raises(DataError, match="2 hits but only 1 calls"):
        average_precision([0.5, 0.4], [True, True], 1)
    with pytest.raises(DataError, match="one length"):
        average_precision([0.5, 0.4], [True], 1)
