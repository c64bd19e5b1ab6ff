"""Metrics of clips: equal to scikit-learn's, on random and on degenerate inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, roc_auc_score

from ecotf.errors import DataError
from ecotf.evaluation import segment_metrics as m
from ecotf.evaluation.bootstrap import resample_weights, resampled_auc
from ecotf.evaluation.matching import Track
from ecotf.evaluation.segment_intervals import Resampling, d_prime
from ecotf.evaluation.segment_report import clip_metrics_text


@st.composite
def clips(draw):
    n, k = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = rng.random((n, k)) < draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    # Few levels give many ties.
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    return truth.astype(int), rng.integers(0, levels, (n, k)) / levels


@settings(max_examples=150, deadline=None)
@given(clips())
def test_they_are_those_of_scikit_learn(case):
    truth, score = case
    present = truth.any(axis=0)
    ap = m.class_average_precision(truth, score)
    assert np.isnan(ap[~present]).all()
    expected = [average_precision_score(truth[:, k], score[:, k]) for k in np.flatnonzero(present)]
    np.testing.assert_allclose(ap[present], expected, atol=1e-12)
    both = present & ~truth.all(axis=0)
    areas = m.class_roc_auc(truth, score)
    assert np.isnan(areas[~both]).all()
    expected = [roc_auc_score(truth[:, k], score[:, k]) for k in np.flatnonzero(both)]
    np.testing.assert_allclose(areas[both], expected, atol=1e-12)
    for pad in m.PADS:
        ones = np.ones((pad, truth.shape[1]))
        expected = average_precision_score(np.vstack([truth, ones]), np.vstack([score, ones]), average="macro")
        assert m.padded_cmap(truth, score, pad) == pytest.approx(expected, abs=1e-12)
    if truth.shape[1] > 1:  # scikit-learn refuses one column
        expected = label_ranking_average_precision_score(truth, score)
        assert m.label_ranking_average_precision(truth, score) == pytest.approx(expected, abs=1e-12)


def test_nothing_at_all():
    nothing = np.zeros((0, 3))
    assert m.padded_cmap(nothing, nothing) == 1.0
    assert np.isnan(m.class_average_precision(nothing, nothing)).all()
    assert np.isnan(m.class_roc_auc(nothing, nothing)).all()
    assert np.isnan(m.label_ranking_average_precision(nothing, nothing))
    assert m.accuracy(nothing, nothing) is None


def test_secondary_labels_are_absent_and_the_report_says_so():
    targets = np.array([[1.0, 0.9], [0.0, 1.0], [0.9, 0.0]])
    scores = np.array([[0.9, 0.8], [0.1, 0.7], [0.6, 0.2]])
    metrics = m.clip_metrics(targets, scores, ["a", "b"])
    assert metrics["soft_labels_counted_as_absent"] == 2
    assert metrics["classes"]["a"]["n"] == 1 and metrics["classes"]["a"]["ap"] == 1.0
    assert metrics["classes"]["b"]["ap"] == 0.5  # the secondary one above it is a false alarm
    assert "2 secondary labels" in clip_metrics_text(metrics)
    assert m.accuracy(targets.astype(int), scores) is None  # a clip of no class


@settings(max_examples=50, deadline=None)
@given(clips(), st.integers(1, 4))
def test_resampled_areas_are_those_of_the_drawn_segments(case, n_units):
    truth, score = case
    unit = np.arange(len(truth)) % n_units
    weights = resample_weights(n_units, 8, seed=1)
    hits = truth[:, 0] > 0
    found = resampled_auc(Track(score[:, 0], hits, unit, np.bincount(unit[hits], minlength=n_units)), weights)
    for row, area in zip(weights, found, strict=True):
        drawn = np.repeat(np.arange(len(truth)), row[unit])
        expected = m.class_roc_auc(truth[drawn, :1], score[drawn, :1])[0] if len(drawn) else np.nan
        np.testing.assert_allclose(area, expected, atol=1e-12)


def test_intervals_draw_whole_recordings_and_leave_out_what_has_no_figure():
    rng = np.random.default_rng(3)
    truth = np.zeros((60, 4), int)
    truth[np.arange(60), np.arange(60) // 2 % 2] = 1
    truth[:, 3] = 1  # every segment has it
    scores = rng.random((60, 4)) + truth
    scores[:8] = scores[:8, ::-1]
    units = [f"night {k // 4}" for k in range(60)]
    metrics = m.clip_metrics(truth, scores, ["a", "b", "never", "always"], Resampling(units, "group", 200, seed=5))
    again = m.clip_metrics(truth, scores, ["a", "b", "never", "always"], Resampling(units, "group", 200, seed=5))
    assert str(metrics) == str(again)  # as text: NaN is not equal to itself
    assert metrics["classes_without_roc_auc"] == ["never", "always"]
    classes = metrics["classes"]
    assert np.isnan(classes["never"]["roc_auc"]) and np.isnan(classes["always"]["d_prime"])
    assert classes["never"]["ap_interval"] == [None, None] and classes["never"]["n_units"] == 0
    assert metrics["roc_auc"] == pytest.approx((classes["a"]["roc_auc"] + classes["b"]["roc_auc"]) / 2)
    assert metrics["d_prime"] == pytest.approx(float(d_prime(metrics["roc_auc"])))
    for name in ("cmap", "roc_auc", "d_prime"):
        low, high = metrics[f"{name}_interval"]
        assert low <= metrics[name] <= high and low < high
    text = clip_metrics_text(metrics)
    assert "never, always" in text and "200 resamples of 15 groups, seed 5" in text


def test_a_class_of_one_recording_has_no_interval():
    truth = np.array([[1], [1], [0], [0]])
    scores = np.array([[0.9], [0.8], [0.2], [0.1]])
    metrics = m.clip_metrics(truth, scores, ["a"], Resampling(["x", "x", "y", "z"], n_bootstrap=20))
    found = metrics["classes"]["a"]
    assert found["roc_auc"] == 1 and found["ap_interval"] == [None, None] == found["roc_auc_interval"]
    assert metrics["d_prime"] == np.inf  # and null in the file
    assert "d-prime -" in clip_metrics_text(metrics)


def test_d_prime_is_that_of_the_published_figures():
    assert float(d_prime(0.973)) == pytest.approx(2.725, abs=0.002)  # CNN14's AUC; 2.732 is printed, of more digits
    assert float(d_prime(0.5)) == 0.0


def test_wilson():
    low, high = m.wilson_interval(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))  # Wilson 1927, z = 1.96
    assert m.wilson_interval(0, 0) == (0.0, 1.0)
    assert m.wilson_interval(0, 5)[0] == 0.0 and m.wilson_interval(5, 5)[1] == 1.0
    found = m.accuracy([[1, 0], [0, 1], [1, 0]], [[0.9, 0.1], [0.2, 0.1], [0.5, 0.4]])
    assert found is not None and (found["right"], found["n"]) == (2, 3)


def test_thresholds():
    targets = np.array([[1, 0, 0.9], [1, 0, 0], [0, 1, 0], [0, 0, 0]])
    scores = np.array([[0.9, 0.1, 0.9], [0.7, 0.2, 0.1], [0.3, 0.6, 0.2], [0.1, 0.3, 0.1]])
    thresholds, unfitted = m.fit_clip_thresholds(targets, scores, ["a", "b", "c"])
    assert unfitted == ["c"]  # its only label is a secondary one
    assert thresholds["a"] == pytest.approx(0.5) and thresholds["b"] == pytest.approx(0.45)
    assert thresholds["c"] == pytest.approx((0.5 + 0.45) / 2)


def test_bad_input():
    with pytest.raises(DataError, match=r"expected \[clips, classes\]"):
        m.padded_cmap(np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(DataError, match="not finite"):
        m.class_roc_auc(np.zeros((1, 2)), np.array([[np.nan, 1.0]]))
