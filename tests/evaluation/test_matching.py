"""Matching detections to calls, against a reference written plainly in Python."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.errors import DataError
from ecotf.evaluation import match_detections, scored_tables
from ecotf.evaluation.hit_rules import Overlap
from ecotf.evaluation.matching import nearest_calls


def detections_of(rows):
    return pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "score"])


def annotations_of(rows):
    return pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"])


def reference_match(detections, annotations, tolerance, by_label=False):
    """Best score first; of the free calls that hold the middle the nearest, at a tie the earlier."""
    hits = [-1] * len(detections)
    for i in sorted(range(len(detections)), key=lambda i: -detections["score"].iloc[i]):
        one = detections.iloc[i]
        centre = (one.start_s + one.end_s) / 2
        free = []
        for j in range(len(annotations)):
            call = annotations.iloc[j]
            fits = call.start_s - tolerance <= centre <= call.end_s + tolerance
            if call.recording == one.recording and j not in hits and fits and call.label in ("A", "B"):
                middle = (call.start_s + call.end_s) / 2
                if not by_label or call.label == one.label:
                    free.append((abs(middle - centre), middle, j))
        hits[i] = min(free)[2] if free else -1
    return hits


# On a grid of 1/64 s, where sums and halves are exact, so that ties and edges are the same in every arithmetic.
times = st.integers(0, 40).map(lambda n: n / 64)
lengths = st.integers(0, 8).map(lambda n: n / 64)
names = st.sampled_from(["x.wav", "y.wav"])
scores = st.integers(0, 5).map(lambda n: n / 5)
some_detections = st.lists(st.tuples(names, times, lengths, st.sampled_from("AB"), scores), max_size=12)
some_annotations = st.lists(st.tuples(names, times, lengths, st.sampled_from(["A", "B", "noise", ""])), max_size=10)


@settings(max_examples=150, deadline=None)
@given(some_detections, some_annotations, st.sampled_from([0.0, 1 / 64, 3 / 64]), st.booleans())
def test_match_is_the_plain_rule(found, annotated, tolerance, by_label):
    detections = detections_of([(name, start, start + length, *rest) for name, start, length, *rest in found])
    annotations = annotations_of([(name, start, start + length, label) for name, start, length, label in annotated])
    hits = match_detections(detections, annotations, tolerance, by_label=by_label, ignored_labels=["noise"])
    assert hits.tolist() == reference_match(detections, annotations, tolerance, by_label)
    taken = hits[hits >= 0]
    assert len(set(taken)) == len(taken)


def test_hits_above_a_threshold_do_not_depend_on_what_is_below_it():
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 3, 200)
    detections = detections_of([("x", t, t + 0.004, "A", s) for t, s in zip(start, rng.random(200), strict=True)])
    annotations = annotations_of([("x", t, t + 0.01, "A") for t in rng.uniform(0, 3, 60)])
    all_hits = match_detections(detections, annotations)
    kept = (detections["score"] >= 0.5).to_numpy()
    assert match_detections(detections[kept], annotations).tolist() == all_hits[kept].tolist()


def test_second_detection_of_a_call_is_a_false_alarm():
    detections = detections_of([("x", 1.0, 1.01, "A", 0.6), ("x", 1.001, 1.011, "A", 0.9)])
    annotations = annotations_of([("x", 1.0, 1.01, "A")])
    assert match_detections(detections, annotations).tolist() == [-1, 0]


def test_tolerance_is_ten_milliseconds_either_side_of_the_call():
    annotations = annotations_of([("x", 1.0, 1.02, "A")])
    middles = [0.9899, 0.9901, 1.0299, 1.0301]
    hits = [match_detections(detections_of([("x", m, m, "A", 0.9)]), annotations).tolist() for m in middles]
    assert hits == [[-1], [0], [0], [-1]]


def test_insects_and_empty_rows_are_no_calls():
    detections = detections_of([("x", 1.0, 1.01, "A", 0.9)])
    rows = [("x", 0.0, np.nan, ""), ("x", 1.0, 1.01, "insects"), ("x", 0.0, 3.0, np.nan)]
    assert match_detections(detections, annotations_of(rows), ignored_labels=["insects"]).tolist() == [-1]
    assert match_detections(detections, annotations_of(rows)).tolist() == [1]


def test_calls_at_the_same_place_are_two_calls():
    detections = detections_of([("x", 1.0, 1.01, "A", 0.9), ("x", 1.0, 1.01, "B", 0.8), ("x", 1.0, 1.01, "A", 0.7)])
    annotations = annotations_of([("x", 1.0, 1.01, "B"), ("x", 1.0, 1.01, "A")])
    assert match_detections(detections, annotations, by_label=True).tolist() == [1, 0, -1]


def test_nearest_call_may_be_shared():
    calls = annotations_of([("x", 1.0, 1.02, "A"), ("x", 1.015, 1.045, "A"), ("y", 1.0, 1.02, "A")])
    calls["recording_index"] = [0, 0, 1]
    detections = detections_of([("x", m, m, "A", 0.5) for m in (1.005, 1.012, 1.019, 1.022, 1.5)])
    detections["recording_index"] = 0
    assert nearest_calls(detections, calls, 0.01).tolist() == [0, 0, 0, 1, -1]


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_bad_score_is_refused_with_its_row(score):
    detections = detections_of([("x", 0.0, 0.1, "A", 0.5), ("y.wav", 0.0, 0.1, "A", score)])
    with pytest.raises(DataError, match=r"row 1 \('y.wav'\): score is (nan|inf)"):
        match_detections(detections, annotations_of([("x", 0.0, 0.1, "A")]))


@pytest.mark.parametrize(("start", "end"), [(0.2, 0.1), (np.nan, 0.1), (0.0, np.inf)])
def test_bad_times_are_refused(start, end):
    good = annotations_of([("x", 0.0, 0.1, "A")])
    with pytest.raises(DataError, match=r"detections: 'A' in 'x' runs from"):
        match_detections(detections_of([("x", start, end, "A", 0.5)]), good)
    with pytest.raises(DataError, match=r"annotations: 'A' in 'x' runs from"):
        match_detections(detections_of([]), annotations_of([("x", start, end, "A")]))


def test_half_in_common_is_enough_wherever_it_begins():
    tenths = np.arange(100) / 10
    rows = [(f"{start}", start, start + 0.3, "A", 0.9) for start in tenths]
    calls = annotations_of([(name, start, start + 0.6, "A") for name, start, *_ in rows])
    detections = detections_of(rows)
    assert match_detections(detections, calls, Overlap(0.5)).tolist() == list(range(100))
    assert (match_detections(detections, calls, Overlap(0.51)) < 0).all()


def test_missing_column_and_words_for_numbers_are_refused():
    good = annotations_of([("x", 0.0, 0.1, "A")])
    with pytest.raises(DataError, match="column 'score' is missing"):
        match_detections(good, good)
    with pytest.raises(DataError, match="'score' holds something that is not a number"):
        match_detections(detections_of([("x", 0.0, 0.1, "A", "high")]), good)


def test_scored_recordings_must_be_annotated_and_hold_all_detections():
    annotations = annotations_of([("x", 0.0, 0.1, "A"), ("y", 0.0, 5.0, ""), ("z", 0.0, 0.1, "A")])
    detections = detections_of([("y", 0.0, 0.1, "call", 0.5)])
    kept, calls = scored_tables(detections, annotations, ["x", "y", "x"], [])
    assert kept["recording_index"].tolist() == [1]
    assert calls["recording"].tolist() == ["x"]
    with pytest.raises(DataError, match=r"1 scored recording.* first 'w'"):
        scored_tables(detections, annotations, ["y", "w"], [])
    with pytest.raises(DataError, match="detections in 'y', which is not in the list"):
        scored_tables(detections, annotations, ["x"], [])
    with pytest.raises(DataError, match="list of scored recordings is empty"):
        scored_tables(detections, annotations, [], [])
