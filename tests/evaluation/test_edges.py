"""Where events begin and end: overlap, collars, segments, PSDS and false alarms counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecotf.evaluation.edges import Listened, judge_edges
from ecotf.evaluation.edges_report import edges_text, main_figures
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.evaluation.hit_rules import Collars, Overlap
from ecotf.evaluation.matching import match_track

COLUMNS = ["recording", "start_s", "end_s", "label"]


def judge(found: list, truth: list, listened: dict, labels: tuple[str, ...] = ("owl", "wren"), **settings: object):
    detections = pd.DataFrame(found, columns=[*COLUMNS, "score"])
    table = pd.DataFrame(truth, columns=COLUMNS)
    config = EvaluationConfig(bootstrap=50, **settings)
    thresholds = dict.fromkeys((*labels, "call"), 0.5)
    return judge_edges(
        detections, table, listened, labels=labels, ignored_labels=("noise",), thresholds=thresholds, config=config
    )


TRUTH = [
    ("a", 1.0, 2.0, "owl"), ("a", 5.0, 6.0, "owl"), ("a", 8.2, 8.8, "wren"), ("b", 1.0, 2.0, "owl"),
    ("c", 0.0, 30.0, ""), ("d", 3.0, 4.0, "noise"),
]  # fmt: skip
FOUND = [
    ("a", 1.0, 2.005, "owl", 0.9),  # right by every rule
    ("a", 5.4, 6.2, "owl", 0.8),  # IoU 0.5, edges far
    ("a", 5.5, 6.0, "owl", 0.7),  # a second one of the same call
    ("a", 8.25, 8.75, "owl", 0.6),  # a wren
    ("b", 1.6, 2.0, "owl", 0.95),  # IoU 0.4
    ("b", 4.0, 5.0, "owl", 0.3),  # below the threshold
    ("c", 4.0, 5.0, "wren", 0.9), ("c", 6.0, 7.0, "wren", 0.9), ("d", 3.0, 4.0, "owl", 0.8),
]  # fmt: skip
LISTENED = {"a": Listened(10.0), "b": Listened(10.0), "c": Listened(1800.0), "d": Listened(1800.0, is_complete=False)}


def test_figures_that_can_be_counted():
    metrics = judge(FOUND, TRUTH, LISTENED, collar_s=0.01, psds={"alpha_st": 0.5})
    owls = {rule: metrics[rule]["per_label"]["owl"] for rule in ("iou_0.3", "iou_0.5", "collars")}
    hits = {rule: round(row["precision"] * row["n_detections"]) for rule, row in owls.items()}
    assert hits == {"iou_0.3": 3, "iou_0.5": 2, "collars": 1}
    assert owls["iou_0.3"]["n_detections"] == 6 and owls["iou_0.3"]["f1"] == pytest.approx(2 * 3 / (6 + 3))
    alarms = metrics["false_alarms"]["per_label"]
    assert alarms["owl"] == {**alarms["owl"], "n": 0, "hours": 0.5, "n_recordings": 1}
    assert alarms["wren"]["n"] == 2 and alarms["wren"]["per_hour"] == pytest.approx(2 / (1810 / 3600))
    # Active: owl in seconds 1, 5 of a and 1 of b, wren in 8 of a. The owl that is a wren is a substitution; seconds 6
    # of a, 4 and 6 of c and 3 of d are inserted, and second 2 of a, which the first owl touches.
    segments = metrics["segments"]
    counted = {name: segments[name] for name in ("right", "substituted", "deleted", "inserted", "active")}
    assert counted == {"right": 3, "substituted": 1, "deleted": 0, "inserted": 5, "active": 4}
    assert segments["error_rate"] == 1.5
    assert metrics["psds_frames"] is None and 0 < metrics["psds"]["value"] < 1
    text = edges_text(metrics)
    assert "each within 10 ms." in text and "(3 of 4 recordings are)" in text and "4.0 " not in main_figures(metrics)
    assert " in 0.50 h" in text
    short = judge(FOUND, TRUTH, {**LISTENED, "c": Listened(10.0)}, collar_s=0.01, psds={"alpha_st": 0.5})
    assert " in 10 s" in edges_text(short)
    known = {name: Listened(one.duration_s, one.is_complete, known_s=10.0) for name, one in LISTENED.items()}
    brief = {name: Listened(10.0, one.is_complete) for name, one in LISTENED.items()}
    psds = [judge(FOUND, TRUTH, each, psds={"alpha_st": 0.5})["psds"]["value"] for each in (LISTENED, known, brief)]
    assert psds[1] == psds[2] < psds[0]  # as many false alarms in less time


def test_frames_boxes_and_no_label():
    edges, scores = np.arange(41) * 0.25, np.full((40, 1), 0.1)
    scores[4:8] = 0.9
    one = {"a": Listened(10.0, True, edges, scores)}
    metrics = judge([("a", 1.0, 2.0, "call", 0.9)], [("a", 1.0, 2.0, "owl")], one, ())
    assert metrics["psds"]["value"] == metrics["psds_frames"]["value"] == 1.0
    assert (
        metrics["iou_0.5"]["per_label"]["call"]["f1"] == 1.0 and metrics["iou_0.5"]["macro_f1_interval"] == [None] * 2
    )
    # Frames that are above every threshold are one long detection.
    metrics = judge([], [("a", 1.0, 2.0, "owl")], {"a": Listened(10.0, True, edges, scores * 0 + 0.5)}, ())
    assert metrics["psds"]["value"] == metrics["psds_frames"]["value"] == 0.0
    assert metrics["segments"]["error_rate"] == 1.0 and metrics["segments"]["deleted"] == 1


def test_a_tenth_of_a_second_ten_times_is_the_next_segment():
    start = float(np.cumsum([0.1] * 10)[-1])
    assert start < 1.0
    metrics = judge([("a", start, 3.0, "call", 0.9)], [("a", 1.0, 3.0, "owl")], {"a": Listened(10.0)}, ())
    assert (metrics["segments"]["right"], metrics["segments"]["inserted"]) == (2, 0)


def test_nothing_to_judge_is_said():
    metrics = judge([], [("a", 0.0, 9.0, "")], {"a": Listened(10.0)})
    assert metrics["psds"]["value"] is None and metrics["segments"]["error_rate"] is None
    assert "PSDS" in edges_text(metrics)
    points = judge([("a", 1.0, 1.01, "owl", 0.9)], [("a", 1.0, 1.0, "owl")], {"a": Listened(10.0)})
    assert points["settings"]["n_points"] == 1 and points["collars"]["per_label"]["owl"]["f1"] == 1.0
    assert "1 events have no length" in edges_text(points)


def test_the_best_score_chooses_first():
    calls = pd.DataFrame({"start_s": [0.0, 1.0], "end_s": [1.0, 2.0], "recording_index": [0, 0]})
    found = pd.DataFrame(
        {"start_s": [0.4, 0.1, 0.0], "end_s": [1.4, 1.1, 1.0], "score": [0.9, 0.5, 0.4], "recording_index": [0, 0, 0]}
    )
    assert match_track(found, calls, 1, Overlap(0.2)).hits.tolist() == [True, False, False]
    assert match_track(found, calls, 1, Collars(0.11, 0.05, 0.2)).hits.tolist() == [False, True, False]
