"""Events of a training on clips, judged against annotations with a start and an end."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets.coverage import half_known
from ecotf.datasets.manifest import make_manifest
from ecotf.detection.best_events import BestOfConfig
from ecotf.detection.change_events import ChangeDetectionConfig
from ecotf.detection.frame_events import FrameEventsConfig
from ecotf.detection.onset_events import OnsetEventsConfig
from ecotf.pipelines.onset_truth import encoded
from ecotf.tasks.clips.events import fit_event_thresholds, judge_events
from ecotf.tasks.clips.finder_fit import fit_finder
from ecotf.tasks.clips.plan import ClipEvaluationConfig
from ecotf.tasks.clips.scored import FrameScores, ScoredSegments, with_events


@pytest.fixture
def judged() -> tuple[Any, Any, ScoredSegments]:
    """A call that is found, a false alarm in a recording that has none, and one labelled as a whole: not judged."""
    rows = [("a.wav", 1.0, 2.0, "owl"), ("none.wav", 0.0, np.nan, ""), ("whole.wav", 0.0, np.nan, "owl")]
    manifest = make_manifest(pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]), "/", "test")
    found = [
        ("a.wav", 1.1, 1.9, 0.8),
        ("none.wav", 3.0, 4.0, 0.4),
        ("a.wav", 7.0, 8.0, 0.1),
        ("whole.wav", 2.0, 3.0, 0.9),
    ]
    one = pd.DataFrame(found, columns=["recording", "start_s", "end_s", "score"])
    candidates = pd.concat([one.assign(label="owl"), one.assign(label="call")], ignore_index=True)
    candidates = candidates.assign(low_hz=100.0, high_hz=1000.0)
    table = pd.DataFrame({"recording": ["a.wav", "none.wav", "whole.wav"], "start_s": 0.0})
    scored = ScoredSegments(table, np.zeros((3, 1)), np.array([[1.0], [0.0], [1.0]]), candidates)
    plan = SimpleNamespace(evaluation=ClipEvaluationConfig(events=True, bootstrap=20), seed=1)
    return plan, SimpleNamespace(manifest=manifest), scored


def test_recordings_without_calls_count(judged):
    plan, data, scored = judged
    fitted = fit_event_thresholds(plan, data, scored, ["owl"]).thresholds
    assert 0.4 < fitted["call"] <= 0.8
    metrics = judge_events(plan, data, scored, ["owl"], {"owl": 0.2, "call": 0.2})["detection"]
    assert metrics["n_calls"] == 1 and metrics["recall"] == 1.0 and metrics["precision"] == 0.5


def test_the_finder_is_fitted_to_the_calls():
    """Between two calls of owls the score falls by half; within one trill of a wren it falls more. Each has its own."""
    frame_s, rng = 0.05, np.random.default_rng(3)
    rows: list[tuple[str, float, float, str]] = []
    kept: list[FrameScores] = []
    for name in ("a.wav", "b.wav"):
        times = (np.arange(600) + 0.5) * frame_s
        scores = rng.uniform(0.0, 0.02, (600, 2))
        for start in np.arange(2.0, 27.0, 2.5):
            owl = (times > start) & (times < start + 0.6) | (times > start + 1.0) & (times < start + 1.6)
            scores[owl, 0] = rng.uniform(0.7, 0.9)
            scores[(times > start + 0.6) & (times < start + 1.0), 0] = 0.45
            trill = (times > start) & (times < start + 1.5)
            scores[trill, 1] = 0.6 + 0.25 * np.sign(np.sin(2 * np.pi * times[trill] / 0.5))
            rows += [(name, start, start + 0.6, "owl"), (name, start + 1.0, start + 1.6, "owl")]
            rows += [(name, start, start + 1.5, "wren")]
        kept.append(FrameScores(name, np.clip(scores, 0, 1), times, frame_s, (0.0, 1.0), 30.0))
    manifest = make_manifest(pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]), "/", "test")
    table = pd.DataFrame({"recording": ["a.wav", "b.wav"], "start_s": 0.0})
    config = ChangeDetectionConfig(steps_s=(0.3, 0.6), drops=(0.2, 0.6), ratios=())
    plan: Any = SimpleNamespace(
        evaluation=ClipEvaluationConfig(events=True, bootstrap=20), inference=SimpleNamespace(events=config), seed=1
    )
    classes = ["owl", "wren", "kiwi"]
    data: Any = SimpleNamespace(manifest=manifest)
    frames = [one._replace(probabilities=np.column_stack([one.probabilities, np.zeros(600)])) for one in kept]
    scored = ScoredSegments(table, np.zeros((2, 3)), np.zeros((2, 3)), None, tuple(frames))
    fitted: Any = fit_finder(plan, data, scored, classes)
    assert fitted.numbers["owl"]["drop"] == 0.2 and fitted.numbers["wren"]["drop"] == 0.6
    assert fitted.unfitted == ["kiwi"] and fitted.numbers["kiwi"] == config.candidates()[0]
    found: Any = with_events(scored, plan, classes, fitted.numbers).candidates
    thresholds = {name: 0.3 for name in (*classes, "call")}
    judged: Any = judge_events(plan, data, replace(scored, candidates=found), classes, thresholds)
    species = judged["species"]
    assert [species["per_label"][name]["f1"] for name in ("owl", "wren")] == [1.0, 1.0]
    plan.inference.events = BestOfConfig(finders=[FrameEventsConfig(gap_s=0.2), config])
    several: Any = fit_finder(plan, data, scored, classes)
    assert several.numbers["owl"] == {"finder": 1, **fitted.numbers["owl"]}
    assert several.notes[0].startswith("events are found by change_detection; mean F1 of validation events: peaks 0.")
    pd.testing.assert_frame_equal(with_events(scored, plan, classes, several.numbers).candidates, found)
    nothing: Any = fit_finder(plan, data, None, classes)
    assert nothing.unfitted == [*classes, "call"]


def test_a_filter_is_about_as_long_as_the_calls():
    """Ticks of two frames, whistles of a second; what has no validation event goes by its boxes, too."""
    frame_s, lengths = 0.04, {"tick": 0.08, "whistle": 1.0, "silent": 0.3}
    times = (np.arange(1000) + 0.5) * frame_s
    scores, rows = np.full((1000, 3), 0.01), []
    for code, (label, length_s) in enumerate(lengths.items()):
        for start in np.arange(2.0, 38.0, 6.0) + code:
            scores[(times > start) & (times < start + length_s), code] = 0.9 if label != "silent" else 0.01
            side = "train" if label == "silent" else "valid"
            rows.append((f"{side}.wav", start, start + length_s, label, side))
    rows.append(("test.wav", 0.0, 9.0, "tick", "test"))  # tells nothing of the length
    columns = ["recording", "start_s", "end_s", "label", "split"]
    data: Any = SimpleNamespace(manifest=make_manifest(pd.DataFrame(rows, columns=columns), "/", "test"))
    scored = ScoredSegments(
        pd.DataFrame({"recording": ["valid.wav"], "start_s": 0.0}), np.zeros((1, 3)), np.zeros((1, 3)), None,
        (FrameScores("valid.wav", scores, times, frame_s, (0.0, 1.0), 40.0),),
    )  # fmt: skip
    chosen = {}
    for within in (None, 1.5):
        config = ChangeDetectionConfig(steps_s=(0.08, 0.32, 0.48, 0.96), within=within)
        plan: Any = SimpleNamespace(
            evaluation=ClipEvaluationConfig(events=True, bootstrap=20), inference=SimpleNamespace(events=config), seed=1
        )
        fitted: Any = fit_finder(plan, data, scored, list(lengths))
        chosen[within] = {name: fitted.numbers[name]["step_s"] for name in lengths}
        found = with_events(scored, plan, list(lengths), fitted.numbers)
        judged: Any = judge_events(plan, data, found, list(lengths), dict.fromkeys([*lengths, "call"], 0.3))
        assert [judged["edges"]["iou_0.3"]["per_label"][name]["recall"] for name in ("tick", "whistle")] == [1.0, 1.0]
    assert chosen[1.5] == {"tick": 0.08, "whistle": 0.96, "silent": 0.32}
    assert chosen[None]["silent"] == 0.48  # the middle one
    none: Any = fit_finder(plan, data, None, list(lengths))
    assert none.numbers == {**none.numbers, "silent": fitted.numbers["silent"]} and len(none.unfitted) == 4
    assert {name: none.numbers[name]["step_s"] for name in lengths} == {"tick": 0.08, "whistle": 0.96, "silent": 0.32}


def test_a_call_where_nobody_knows_whether_there_is_one_is_no_false_alarm():
    """In a recording with stretches annotated as no owl, a faint owl beside them is neither right nor wrong."""
    frame_s = 0.05
    times = (np.arange(400) + 0.5) * frame_s
    scores = np.full((400, 1), 0.01)
    for start, score in ((1.0, 0.9), (5.0, 0.5), (12.0, 0.95)):  # an owl, a false alarm, and what nobody has boxed
        scores[round(start / frame_s) : round((start + 1) / frame_s)] = score
    rows = [("a.wav", 1.0, 2.0, "owl", ""), ("a.wav", 4.0, 8.0, "", "")]
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "fully_annotated"])
    data: Any = SimpleNamespace(manifest=make_manifest(table, "/", "test"))
    plan: Any = SimpleNamespace(
        evaluation=ClipEvaluationConfig(events=True, bootstrap=20),
        inference=SimpleNamespace(events=ChangeDetectionConfig()), seed=1,
    )  # fmt: skip
    recordings = pd.DataFrame({"recording": ["a.wav"], "start_s": 0.0})
    judged = {}
    for name, rows_known in (("all", None), ("some", half_known(data.manifest.table)["a.wav"])):
        kept = FrameScores("a.wav", scores, times, frame_s, (0.0, 1.0), 20.0, rows_known)
        there = kept.of_classes(1)[np.searchsorted(times, [1.5, 5.5, 12.5]), 0]
        assert there.tolist() == [0.9, 0.5, 0.95 if rows_known is None else 0.0]  # what figures of frames see
        # No segment of it may be known. It is judged by its events nevertheless.
        scored = ScoredSegments(recordings[:0], np.zeros((0, 1)), np.ones((0, 1)), None, (kept,))
        assert scored.recordings == ["a.wav"]
        scored = with_events(scored, plan, ["owl"], None)
        thresholds = fit_event_thresholds(plan, data, scored, ["owl"]).thresholds
        figures: Any = judge_events(plan, data, scored, ["owl"], {"owl": 0.3, "call": 0.3})
        judged[name] = figures["detection"]
        # False alarms of PSDS are in the hours in which there can be any.
        assert 3600 * figures["edges"]["settings"]["hours"] == pytest.approx(20.0 if rows_known is None else 5.0)
        assert 0.5 < thresholds["owl"] <= 0.9, name
    assert judged["all"]["precision"] == pytest.approx(1 / 3) and judged["all"]["recall"] == 1
    assert judged["some"]["precision"] == pytest.approx(1 / 2) and judged["some"]["recall"] == 1


@pytest.mark.parametrize("joined", [True, False])
def test_onsets_are_tried_where_calls_follow_each_other_without_a_pause(joined):
    """Three calls in a row are one hill of the score. Onsets tell them apart, and nothing else can."""
    frame_s, each_s = 0.05, 0.5 if joined else 3.0
    times = (np.arange(400) + 0.5) * frame_s
    scores, onsets, ends, lengths = (np.full((400, 1), 0.01) for _ in range(4))
    starts = [at + i * each_s for at in (1.0, 11.0) for i in range(3)]
    for start in starts:
        first, last = round(start / frame_s), round((start + 0.5) / frame_s)
        scores[first:last] = 0.9
        onsets[first], ends[last - 1], lengths[first] = 0.9, 0.9, encoded(0.5)
    frames = np.hstack([scores, onsets, ends, lengths])
    rows = [(name, at, at + 0.5, "owl") for name in ("a.wav", "b.wav") for at in starts]
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"])
    data: Any = SimpleNamespace(manifest=make_manifest(table, "/", "test"))
    kept = tuple(FrameScores(name, frames, times, frame_s, (0.0, 1.0), 20.0) for name in ("a.wav", "b.wav"))
    recordings = pd.DataFrame({"recording": ["a.wav", "b.wav"], "start_s": 0.0})
    scored = ScoredSegments(recordings, np.zeros((2, 1)), np.ones((2, 1)), None, kept)
    config = BestOfConfig(finders=[ChangeDetectionConfig(), OnsetEventsConfig()], joined=0.1)
    plan: Any = SimpleNamespace(
        evaluation=ClipEvaluationConfig(events=True, bootstrap=20), inference=SimpleNamespace(events=config), seed=1
    )
    fitted: Any = fit_finder(plan, data, scored, ["owl"])
    assert config.needs_onsets(fitted.numbers) == joined
    if joined:
        assert fitted.notes[0].startswith("events are found by onsets; mean F1 of validation events: change_detection")
    else:
        assert fitted.notes == (
            "onsets not tried: of the pauses between calls of a class at most 0% are shorter than 100 ms",
        )
    found: Any = with_events(scored, plan, ["owl"], fitted.numbers).candidates
    assert len(found[found["label"] == "owl"]) == len(rows)
    # Validation recordings whose owls have no end say nothing; the pauses of the others still do.
    trained = table.assign(split="train").replace({"recording": {"a.wav": "c.wav", "b.wav": "d.wav"}})
    without = table.drop_duplicates("recording").assign(start_s=0.0, end_s=np.nan, split="valid")
    data.manifest = make_manifest(pd.concat([trained, without]), "/", "test")
    guessed: Any = fit_finder(plan, data, scored, ["owl"])
    assert guessed.unfitted == ["owl", "call"] and config.needs_onsets(guessed.numbers) == joined


def test_onsets_that_boxes_ask_for_give_way_only_to_what_is_clearly_better():
    first = {"finder": 0, "step_s": 0.48, "drop": None, "ratio": 1.2}
    onset = {"finder": 1, "gap_s": 0.3, "pull": 0.4}
    config = BestOfConfig(finders=[ChangeDetectionConfig(), OnsetEventsConfig()], joined=0.1, margin=0.2)
    assert [config.handicap(one, 0.3) for one in (first, onset)] == [0.2, 0.0]
    assert [config.handicap(one, 0.05) for one in (first, onset)] == [0.0, None]
    by_figures = BestOfConfig(finders=[ChangeDetectionConfig(), OnsetEventsConfig()], margin=0.2)
    assert [by_figures.handicap(one, 0.0) for one in (first, onset)] == [0.0, 0.0]
