"""Every event finder: pieces make no difference, nothing comes late, no threshold moves an event; the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from ecotf.config import validate
from ecotf.detection.change_events import ChangeDetectionConfig
from ecotf.detection.change_points import ChangeStream
from ecotf.detection.change_track import SCALE, Change
from ecotf.detection.finders import FINDERS, FinderConfig, Framing, find_events
from ecotf.detection.onset_events import OnsetEventsConfig
from ecotf.detection.onset_points import Lengths, Onset, OnsetLimits, OnsetStream
from ecotf.detection.view import in_order
from ecotf.errors import ConfigError
from ecotf.pipelines.onset_truth import LEAST_S, OCTAVES, OnsetTruth, encoded
from ecotf.tasks.clips.plan import InferenceConfig

ENTRIES = [pytest.param(entry, id=entry.name) for entry in FINDERS]
CLASSES = ("a", "b", "c")
ONLY: dict[str, dict[str, Any]] = {"best": {"finders": [{"name": "peaks"}, {"name": "onsets"}]}}


def some_config(entry: Any, rng: np.random.Generator) -> FinderConfig:
    values: dict[str, Any] = {"floor": float(rng.choice([0.01, 0.1]))}
    if entry.config_class.combines:
        return TypeAdapter(entry.config_class).validate_python(ONLY[entry.name])
    if entry.name == "change_detection":
        values |= {"steps_s": [float(rng.choice([0.1, 0.5, 1.5]))], "longest_s": float(rng.choice([3.0, 60.0]))}
        values |= {"outvoted": float(rng.choice([0.0, 0.5, 1.0]))}
    elif entry.name == "onsets":
        values |= {"gaps_s": [float(rng.choice([0.1, 0.6]))], "pulls": [rng.choice([0.3, None])]}
        values |= {"longest_s": float(rng.choice([2.0, 10.0])), "overlap": float(rng.choice([0.2, 0.7]))}
        values |= {"frames": float(rng.choice([0.5, 0.7])), "lowered": float(rng.choice([0.0, 0.5, 1.0]))}
        values |= {"outvoted": float(rng.choice([0.0, 0.5, 1.0]))}
    else:
        values |= {"smooth_s": float(rng.choice([0, 0.1, 0.5])), "gap_s": float(rng.choice([0.4, 2.0]))}
    return TypeAdapter(entry.config_class).validate_python(values)


def some_scores(rng: np.random.Generator, columns: int = 3) -> tuple[np.ndarray, np.ndarray, float]:
    """Noise of some roughness, ``[t, columns]``, in rows of a second that need not be a whole number of frames."""
    per_row, rows = int(rng.integers(1, 9)), int(rng.integers(1, 60))
    inside_s = (np.arange(per_row) + 0.5) / per_row * float(rng.choice([1.0, 0.97]))
    slow = np.repeat(rng.random((rows * per_row, columns)), int(rng.integers(1, 7)), axis=0)[: rows * per_row]
    scores = slow ** rng.integers(1, 14)
    times = (np.arange(rows)[:, None] + inside_s).ravel()
    return scores, times, float(np.diff(inside_s).mean()) if per_row > 1 else 1.0


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("entry", ENTRIES)
def test_pieces_make_no_difference(entry, seed):
    rng = np.random.default_rng(seed)
    config = some_config(entry, rng)
    scores, times, frame_s = some_scores(rng, columns=12 if config.reads_onsets else 3)
    framing = Framing(CLASSES, frame_s, (0.0, 1.0), np.full(3, 0.3))
    whole, stream = (FINDERS.build(config, framing, None) for _ in range(2))
    expected = in_order([whole.push(scores, times), whole.finish()])
    tables, at = [], 0
    while at < len(scores):
        n, settled_s = int(rng.integers(1, 12)), stream.settled_s
        tables.append(stream.push(scores[at : at + n], times[at : at + n]))
        assert (tables[-1]["start_s"] >= settled_s).all()
        at += n
    settled_s = stream.settled_s
    tables.append(stream.finish())
    assert (tables[-1]["start_s"] >= settled_s).all()
    pd.testing.assert_frame_equal(in_order(tables), expected, check_exact=True)
    every = find_events(scores, times, frame_s, CLASSES, (0.0, 1.0), config)
    above = every[every["score"] >= 0.3].reset_index(drop=True)
    pd.testing.assert_frame_equal(above, expected, check_exact=False, rtol=0, atol=1e-9)
    assert (every["detection_score"] >= every["score"]).all() and (every["end_s"] > every["start_s"]).all()
    assert (every["start_s"] >= 0).all() and (every["end_s"] <= times[-1] + frame_s).all()


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_event_is_where_the_score_is(entry):
    times = (np.arange(100) + 0.5) * 0.1
    scores = np.full((100, 2), 0.005)
    some = entry.config_class(**ONLY.get(entry.name, {}))
    scores[20:30, 0] = 0.8  # 2 to 3 s
    scores[0:6, 1] = 0.9  # begins with the recording
    scores[94:, 1] = 0.7  # ends with it
    if some.reads_onsets:
        onsets, ends, lengths = (np.zeros((100, 2)) for _ in range(3))
        for at, code, length_s in ((20, 0, 1.0), (0, 1, 0.6), (94, 1, 0.6)):
            onsets[at, code], lengths[at, code] = 0.9, encoded(length_s)
            ends[round(at + 10 * length_s) - 1, code] = 0.9
        scores = np.hstack([scores, onsets, ends, lengths])
    found = find_events(scores, times, 0.1, ["a", "b"], (100.0, 200.0), some)
    assert found["label"].tolist() == ["b", "a", "b"]
    assert found["start_s"].tolist() == pytest.approx([0.0, 2.0, 9.4], abs=0.11)
    assert found["end_s"].tolist() == pytest.approx([0.6, 3.0, 10.0], abs=0.11)
    assert set(found["low_hz"]) == {100.0} and set(found["high_hz"]) == {200.0}
    assert not len(find_events(scores * 0, times, 0.1, ["a", "b"], (0.0, 1.0), some))


@pytest.mark.parametrize("onsets", [False, True])
def test_of_two_classes_in_one_event_most_frames_decide(onsets):
    """Where one animal sings at a time, a syllable is what most of its frames say; who is second is that for less."""
    times = (np.arange(100) + 0.5) * 0.01
    scores = np.full((100, 3), 0.005)
    scores[20:40] = 0.8, 0.6, 0.005
    scores[24:29, 1] = 0.9  # the second class is greater in 5 frames of 20
    scores[60:80] = 0.005, 0.7, 0.7  # alike: neither is greater
    begins = np.zeros((100, 3))
    begins[20, :2], begins[60, 1:] = 0.9, 0.9
    lengths = np.full((100, 3), encoded(0.2))
    frames = np.hstack([scores, begins, np.zeros((100, 3)), lengths]) if onsets else scores
    kind: Any = OnsetEventsConfig if onsets else ChangeDetectionConfig
    some = {"gaps_s": (0.1,), "pulls": (None,)} if onsets else {"steps_s": (0.1,)}
    found = {
        outvoted: find_events(frames, times, 0.01, CLASSES, (0.0, 1.0), kind(**some, outvoted=outvoted))
        for outvoted in (1.0, 0.5, 0.0)
    }
    assert found[1.0]["label"].tolist() == found[0.5]["label"].tolist() == list("abbc")
    assert (found[0.5]["score"] / found[1.0]["score"]).tolist() == [1.0, 0.5, 1.0, 1.0]
    unscored = ["score", "detection_score"] if onsets else ["score"]  # that of any class is not below its own
    pd.testing.assert_frame_equal(found[0.5].drop(columns=unscored), found[1.0].drop(columns=unscored))
    pd.testing.assert_frame_equal(found[0.0], found[1.0].drop(index=1).reset_index(drop=True))


def plainly(scores: np.ndarray, change: Change, floor: float, frame_s: float) -> list[tuple[int, int, float]]:
    """The definition frame by frame: start and end as frames, mean score; of one class, in steps of `SCALE`."""
    half, least, x = max(1, round(change.step_s / 2 / frame_s)), round(floor * SCALE), np.rint(scores * SCALE)
    wide = np.concatenate([np.zeros(half), x, np.zeros(half)])
    state, size, best, start = 0, 0.0, 0, 0
    events: list[tuple[int, int]] = []
    for at in range(len(x) + 1):
        around = wide[at : at + 2 * half]
        rise = around[half:].sum() - around[:half].sum()
        kind = 0 if (around < least).all() else int(np.sign(rise))
        if (around < least).all() or at == len(x) or (kind == 1 and state == -1):
            if state == -1 and kind == -1 and -rise > size:
                best = at
            events += [(start, best)] if state == -1 else [(best, at)] if state == 1 else []
            state = 0
        if kind == 1 and (state == 0 or rise > size):
            state, size, best = 1, rise, at
        elif kind == -1 and state != 0 and (state == 1 or -rise > size):
            start = best if state == 1 else start
            state, size, best = -1, -rise, at
    joined: list[list[int]] = []
    for n, (first, last) in enumerate(events):
        if n:
            before = slice(*events[n - 1])
            gap = x[events[n - 1][1] : first]
            high = max(x[before].max(), x[first:last].max())
            low = gap.min() if len(gap) else np.inf
            if low >= least and high - low < change.drop * SCALE and high + 4 < change.ratio * (low + 4):
                joined[-1][1] = last
                continue
        joined.append([first, last])
    means = [(a, b, x[a:b].mean() / SCALE) for a, b in joined]
    return [(a, b, mean) for a, b, mean in means if mean * SCALE >= least]


@pytest.mark.parametrize("seed", range(40))
def test_changes_are_as_defined(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 300))
    scores = np.repeat(rng.random(n), int(rng.integers(1, 9)))[:n] ** rng.integers(1, 6)
    scores = np.clip(scores + rng.normal(0, 0.02, n), 0, 1) * (rng.random(n) < 0.97)
    change = Change(float(rng.choice([0.2, 0.6, 1.4])), *((0.3, np.inf) if seed % 2 else (np.inf, 2.0)))
    stream = ChangeStream([change], 0.1, 0.02, 0.0, 1e4)
    times = (np.arange(n) + 0.5) * 0.1
    found = sorted([*stream.push(scores[:, None], times), *stream.finish()])
    expected = plainly(scores, change, 0.02, 0.1)
    assert [(round(e.start_s / 0.1), round(e.end_s / 0.1)) for e in found] == [row[:2] for row in expected]
    np.testing.assert_allclose([e.score for e in found], [row[2] for row in expected], atol=1e-12)


def frames_of(events: list[tuple[float, float]], seconds: float, frame_s: float) -> tuple[np.ndarray, np.ndarray]:
    """What a perfect network says of the events of one class: ``[t, 4]``, and the middles of the frames."""
    times = (np.arange(round(seconds / frame_s)) + 0.5) * frame_s
    start_s, end_s = np.array(events).T
    inside = ((times[:, None] > start_s) & (times[:, None] < end_s)).any(axis=1)
    onsets, ends, lengths, _ = OnsetTruth(1.0).of(times, frame_s, start_s, end_s)
    return np.column_stack([0.02 + 0.9 * inside, onsets, ends, lengths]), times


def test_calls_without_a_pause_and_calls_that_overlap_are_several():
    events = [(1.0, 1.8), (1.8, 2.5), (4.0, 6.0), (5.0, 7.0), (9.0, 9.4)]
    frames, times = frames_of(events, 12.0, 0.04)
    for finder, n in (({"name": "onsets", "pulls": [1.2]}, 5), ({"name": "change_detection"}, 3)):
        config = validate(InferenceConfig, {"events": finder}, "r").events
        found = find_events(frames, times, 0.04, ["a"], (0.0, 1.0), config)
        assert len(found) == n
        if n == len(events):
            np.testing.assert_allclose(found[["start_s", "end_s"]], events, atol=0.06)
            assert (found["score"] > 0.8).all()


def test_an_onset_needs_the_score_of_its_frames_and_an_end_may_be_elsewhere_than_the_length_says():
    frames, times = frames_of([(1.0, 2.0), (4.0, 5.0)], 7.0, 0.04)
    frames[times > 3, 0] = 0.0  # an onset without a call
    frames[:, 3] = encoded(1.4)  # a call that ends before its length does
    limits, lengths = OnsetLimits(0.1, 0.0, 10.0, 0.5, 0.16), Lengths(LEAST_S, OCTAVES)
    for pull, end_s in ((0.3, 2.0), (np.inf, 2.4)):
        stream = OnsetStream([Onset(0.1, pull)], 0.04, lengths, limits)
        found = [*stream.push(frames, times), *stream.finish()]
        assert [(event.code, round(event.start_s, 1)) for event in found] == [(0, 1.0)]
        assert found[0].end_s == pytest.approx(end_s, abs=0.05)


@pytest.mark.parametrize(("frames", "lowered"), [(0.5, 0.0), (0.7, 0.5), (1.0, 1.0), (0.0, 0.5)])
def test_a_note_within_a_call_has_a_lower_score_but_a_call_without_neighbours_has_not(frames, lowered):
    said, times = frames_of([(1.02, 3.02), (2.22, 3.02), (5.02, 6.02)], 8.0, 0.04)
    said[:, 0] = 0.64
    said[np.abs(times - 2.22) < 0.05, 1] *= 0.8  # an onset that is less sure
    limits, lengths = OnsetLimits(0.02, 0.0, 10.0, 0.5, 0.16, frames, lowered), Lengths(LEAST_S, OCTAVES)
    stream = OnsetStream([Onset(0.1, np.inf)], 0.04, lengths, limits)
    call, note, alone = [*stream.push(said, times), *stream.finish()]
    shared = (note.end_s - note.start_s) / (call.end_s - call.start_s)
    assert 0.35 < shared < 0.45
    for event, onset, less in ((call, 1.0, 0.0), (alone, 1.0, 0.0), (note, 0.8, lowered * shared)):
        assert event.score == pytest.approx(0.64**frames * onset ** (1 - frames) * (1 - less), abs=1e-3)


def test_nothing_waits_longer_than_twice_the_longest_event_of_onsets():
    rng, held, found = np.random.default_rng(0), 0, []
    limits, lengths = OnsetLimits(0.02, 0.0, 3.0, 0.5, 0.2), Lengths(LEAST_S, OCTAVES)
    stream = OnsetStream([Onset(0.3, 0.3), Onset(0.1, np.inf)], 0.1, lengths, limits)
    for second in range(200):
        times = second + (np.arange(10) + 0.5) * 0.1
        found += stream.push(rng.random((10, 8)), times)
        assert stream.settled_s >= second - 2 * 3.0 - 1.0
        held = max(held, len(stream._values), len(stream._known))
    assert held < 90 and max(event.end_s - event.start_s for event in found) <= 3.0 + 1e-9 and len(found) > 100


def test_nothing_waits_longer_than_the_longest_event():
    rng = np.random.default_rng(0)
    stream = ChangeStream([Change(0.5, 0.2, np.inf), Change(0.5, np.inf, 2.0)], 0.1, 0.01, 0.0, 6.0)
    found, held = [], 0
    for second in range(300):
        times = second + (np.arange(10) + 0.5) * 0.1
        found += stream.push(np.column_stack([np.full(10, 0.8), rng.uniform(0.6, 0.9, 10)]), times)
        assert stream.settled_s >= second - 6.0 - 0.5
        held = max(held, len(stream._values))
    assert held < 30 and max(event.end_s - event.start_s for event in found) <= 6.0 + 1e-9
    constant = [event for event in found if event.code == 0]
    assert constant[0].start_s == 0.0 and [event.end_s for event in constant[:-1]] == pytest.approx(
        [event.start_s for event in constant[1:]]
    )


def test_a_recipe_chooses():
    old = validate(InferenceConfig, {"events": {"smooth_s": 0.2}}, "r")
    assert old.events == FINDERS["peaks"].config_class(smooth_s=0.2) and InferenceConfig().events.name == "peaks"
    new = validate(InferenceConfig, {"events": {"name": "change_detection", "steps_s": [0.1]}}, "r")
    assert isinstance(new.events, ChangeDetectionConfig) and len(new.events.candidates()) == 6
    assert new.events.facts(["x"], {"x": {"step_s": 0.1, "drop": None, "ratio": 3.0}})["changes"][0]["ratio"] == 3.0
    for values, said in (
        ({"name": "steps"}, "name 'steps' is unknown; allowed: 'best', 'change_detection', 'onsets', 'peaks'"),
        ({"name": "onsets", "gaps_s": [0.0]}, "gaps_s = 0: every one must be above 0"),
        ({"name": "onsets", "shortest_s": 20.0}, "is not below longest_s"),
        ({"name": "onsets", "gaps_s": [0.1, 11.0]}, "gaps_s = 11 is above longest_s = 10"),
        ({"name": "onsets", "lowered": 1.5}, "lowered = 1.5: input should be less than or equal to 1"),
        ({"name": "change_detection", "steps_s": [0.0]}, "steps_s = 0: every one must be above 0"),
        ({"name": "change_detection", "ratios": [1.0]}, "ratios = 1: every one must be above 1"),
        ({"name": "change_detection", "drops": [], "ratios": []}, "at least one limit is needed"),
        ({"name": "change_detection", "shortest_s": 70.0}, "is not below longest_s"),
    ):
        with pytest.raises(ConfigError, match=said):
            validate(InferenceConfig, {"events": values}, "r")
