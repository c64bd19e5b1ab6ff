"""Thresholds fitted on validation data, against trying every combination."""

import itertools
import time

import numpy as np
import pandas as pd
import pytest

from ecotf.errors import DataError
from ecotf.evaluation import best_f1_threshold, fit_thresholds, match_detections


def detections_of(rows):
    return pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "score"])


def annotations_of(rows):
    return pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"])


def validation(seed, labels, n_calls=60, n_recordings=4):
    """Calls 0.1 s apart, each with candidates of all labels; noise candidates between them."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for i in range(n_calls):
        name, t, label = f"{i % n_recordings}.wav", 0.1 * i, rng.choice(labels)
        truth.append((name, t, t + 0.01, label))
        for other in labels:
            score = np.clip(rng.normal(0.65 if other == label else 0.3, 0.2), 0, 1)
            found.append((name, t, t + 0.01, other, score))
            found.append((name, t + 0.05, t + 0.06, other, np.clip(rng.normal(0.25, 0.15), 0, 1)))
        found.append((name, t, t + 0.01, "call", np.clip(rng.normal(0.7, 0.2), 0, 1)))
        found.append((name, t + 0.05, t + 0.06, "call", np.clip(rng.normal(0.3, 0.2), 0, 1)))
    return detections_of(found), annotations_of(truth), [f"{i}.wav" for i in range(n_recordings)]


def objective(detections, annotations, thresholds):
    """Mean of detection F1 and macro F1, with the tables really cut and matched."""
    limits = detections["label"].map(thresholds)
    kept = detections[detections["score"] >= limits]
    events = kept.sort_values("score", ascending=False).drop_duplicates(["recording", "start_s", "end_s"])
    n_hits = (match_detections(events, annotations) >= 0).sum()
    detection_f1 = 2 * n_hits / (len(events) + len(annotations))
    hit = match_detections(kept, annotations, by_label=True) >= 0
    f1 = [
        2 * hit[(kept["label"] == label).to_numpy()].sum()
        / ((kept["label"] == label).sum() + (annotations["label"] == label).sum())
        for label in thresholds
    ]  # fmt: skip
    return (detection_f1 + np.mean(f1)) / 2


@pytest.mark.parametrize("seed", range(3))
def test_no_single_threshold_can_be_improved(seed):
    labels = ["A", "B", "C"]
    detections, annotations, recordings = validation(seed, labels)
    fitted = fit_thresholds(detections, annotations, recordings, labels)
    found = {label: fitted.thresholds[label] for label in labels}
    species = detections[detections["label"] != "call"]
    reached = objective(species, annotations, found)
    for label, step in itertools.product(labels, range(0, 101, 2)):
        assert objective(species, annotations, {**found, label: step / 100}) <= reached + 1e-9
    assert reached >= objective(species, annotations, dict.fromkeys(labels, 0.5))
    assert fitted.unfitted == []


def test_two_labels_reach_the_best_of_all_pairs():
    detections, annotations, recordings = validation(7, ["A", "B"], n_calls=30)
    fitted = fit_thresholds(detections, annotations, recordings, ["A", "B"])
    species = detections[detections["label"] != "call"]
    pairs = itertools.product(range(0, 101, 10), repeat=2)
    best = max(objective(species, annotations, {"A": a / 100, "B": b / 100}) for a, b in pairs)
    reached = objective(species, annotations, {label: fitted.thresholds[label] for label in "AB"})
    assert reached >= best - 0.01  # coordinate ascent may stop at a ridge; not far below it


def test_call_threshold_is_that_of_highest_f1():
    detections, annotations, recordings = validation(1, ["A", "B"])
    calls = detections[detections["label"] == "call"]
    hits = match_detections(calls, annotations) >= 0
    fitted = fit_thresholds(detections, annotations, recordings, ["A", "B"])
    assert fitted.thresholds["call"] == best_f1_threshold(calls["score"], hits, len(annotations))


def test_species_that_stands_in_for_another_keeps_the_call_found():
    """Two names on one call are one detection, and either alone finds it."""
    rows = [("x", t, t + 0.01, "A", 0.9) for t in range(5)] + [("x", t, t + 0.01, "B", 0.8) for t in range(5)]
    truth = annotations_of([("x", t, t + 0.01, "A") for t in range(5)] + [("x", 9, 9.01, "B")])
    fitted = fit_thresholds(detections_of([*rows, ("x", 9, 9.01, "B", 0.95)]), truth, ["x"], ["A", "B"])
    assert fitted.thresholds["A"] <= 0.9
    assert 0.8 < fitted.thresholds["B"] <= 0.95


def test_middle_of_what_does_equally_well():
    rows = [("x", t, t + 0.01, "A", 0.8) for t in range(5)] + [("x", t + 0.5, t + 0.51, "A", 0.2) for t in range(5)]
    truth = annotations_of([("x", t, t + 0.01, "A") for t in range(5)])
    fitted = fit_thresholds(detections_of(rows), truth, ["x"], ["A"])
    assert fitted.thresholds["A"] == 0.5


def test_labels_without_validation_calls_get_the_median():
    detections, annotations, recordings = validation(2, ["A", "B", "C"])
    more = detections_of([("0.wav", 50, 50.1, "D", 0.7)])
    truth = pd.concat([annotations, annotations_of([("0.wav", 80, 80.1, "E")])])
    fitted = fit_thresholds(pd.concat([detections, more]), truth, recordings, ["A", "B", "C", "D", "E"])
    median = np.median([fitted.thresholds[label] for label in "ABC"])
    assert fitted.thresholds["D"] == fitted.thresholds["E"] == median
    assert fitted.unfitted == ["D", "E"]


def test_nothing_to_fit_on():
    empty = annotations_of([("x", 0.0, 5.0, "")])
    fitted = fit_thresholds(detections_of([]), empty, ["x"], ["A"])
    assert fitted.thresholds == {"A": 0.5, "call": 0.5}
    assert fitted.unfitted == ["A", "call"]
    noise = annotations_of([("x", 1.0, 1.1, "insects")])
    rows = detections_of([("x", 1.0, 1.1, "call", 0.9), ("x", 1.0, 1.1, "A", 0.9)])
    assert fit_thresholds(rows, noise, ["x"], ["A"], ignored_labels=["insects"]).unfitted == ["A", "call"]
    assert fit_thresholds(rows, annotations_of([("x", 1.0, 1.1, "A")]), ["x"], []).thresholds == {"call": 0.9}


def test_scores_beyond_one_and_impossible_labels_are_refused():
    truth = annotations_of([("x", 1.0, 1.1, "A")])
    with pytest.raises(DataError, match=r"from 0 to 1 to fit thresholds, found 7 to 7"):
        fit_thresholds(detections_of([("x", 1.0, 1.1, "A", 7.0)]), truth, ["x"], ["A"])
    with pytest.raises(DataError, match="score is nan"):
        fit_thresholds(detections_of([("x", 1.0, 1.1, "A", np.nan)]), truth, ["x"], ["A"])
    with pytest.raises(DataError, match="'A' is listed twice"):
        fit_thresholds(detections_of([]), truth, ["x"], ["A", "A"])
    with pytest.raises(DataError, match="'call' cannot be a species: it stands for any call"):
        fit_thresholds(detections_of([]), truth, ["x"], ["A", "call"])


def test_a_hundred_thousand_candidates_of_eight_species_take_seconds():
    rng = np.random.default_rng(0)
    labels = list("ABCDEFGH")
    n = 100_000
    start = np.sort(rng.uniform(0, 600, n))
    frame = pd.DataFrame({"recording": rng.integers(0, 50, n).astype(str), "start_s": start, "end_s": start + 0.005})
    detections = pd.concat([frame.assign(label=label, score=rng.random(n)) for label in [*labels, "call"]])
    begin = rng.uniform(0, 600, 10_000)
    annotations = pd.DataFrame(
        {
            "recording": rng.integers(0, 50, 10_000).astype(str),
            "start_s": begin,
            "end_s": begin + 0.01,
            "label": rng.choice(labels, 10_000),
        }
    )
    before = time.process_time()
    fitted = fit_thresholds(detections, annotations, [str(i) for i in range(50)], labels)
    assert time.process_time() - before < 15  # about 3 s on an idle machine
    assert fitted.unfitted == []
