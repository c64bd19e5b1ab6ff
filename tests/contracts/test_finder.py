"""Every event finder: pieces make no difference, nothing comes late, no threshold moves an event; the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from ecotf.config import validate
from ecotf.detection.change_events import ChangeDetectionConfig
from ecotf.detection.change_points import SCALE, Change, ChangeStream
from ecotf.detection.finders import FINDERS, FinderConfig, Framing, find_events
from ecotf.detection.view import in_order
from ecotf.errors import ConfigError
from ecotf.tasks.clips.plan import InferenceConfig

ENTRIES = [pytest.param(entry, id=entry.name) for entry in FINDERS]
CLASSES = ("a", "b", "c")


def some_config(entry: Any, rng: np.random.Generator) -> FinderConfig:
    values: dict[str, Any] = {"floor": float(rng.choice([0.01, 0.1]))}
    if entry.name == "change_detection":
        values |= {"steps_s": [float(rng.choice([0.1, 0.5, 1.5]))], "longest_s": float(rng.choice([3.0, 60.0]))}
    else:
        values |= {"smooth_s": float(rng.choice([0, 0.1, 0.5])), "gap_s": float(rng.choice([0.4, 2.0]))}
    return TypeAdapter(entry.config_class).validate_python(values)


def some_scores(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Noise of some roughness, ``[t, 3]``, in rows of a second that need not be a whole number of frames."""
    per_row, rows = int(rng.integers(1, 9)), int(rng.integers(1, 60))
    inside_s = (np.arange(per_row) + 0.5) / per_row * float(rng.choice([1.0, 0.97]))
    slow = np.repeat(rng.random((rows * per_row, 3)), int(rng.integers(1, 7)), axis=0)[: rows * per_row]
    scores = slow ** rng.integers(1, 14)
    times = (np.arange(rows)[:, None] + inside_s).ravel()
    return scores, times, float(np.diff(inside_s).mean()) if per_row > 1 else 1.0


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("entry", ENTRIES)
def test_pieces_make_no_difference(entry, seed):
    rng = np.random.default_rng(seed)
    config, (scores, times, frame_s) = some_config(entry, rng), some_scores(rng)
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
    scores[20:30, 0] = 0.8  # 2 to 3 s
    scores[0:6, 1] = 0.9  # begins with the recording
    scores[94:, 1] = 0.7  # ends with it
    found = find_events(scores, times, 0.1, ["a", "b"], (100.0, 200.0), entry.config_class())
    assert found["label"].tolist() == ["b", "a", "b"]
    assert found["start_s"].tolist() == pytest.approx([0.0, 2.0, 9.4], abs=0.11)
    assert found["end_s"].tolist() == pytest.approx([0.6, 3.0, 10.0], abs=0.11)
    assert set(found["low_hz"]) == {100.0} and set(found["high_hz"]) == {200.0}
    assert not len(find_events(scores * 0, times, 0.1, ["a", "b"], (0.0, 1.0), entry.config_class()))


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
        ({"name": "steps"}, "name 'steps' is unknown; allowed: 'change_detection', 'peaks'"),
        ({"name": "change_detection", "steps_s": [0.0]}, "steps_s = 0: every one must be above 0"),
        ({"name": "change_detection", "ratios": [1.0]}, "ratios = 1: every one must be above 1"),
        ({"name": "change_detection", "drops": [], "ratios": []}, "at least one limit is needed"),
        ({"name": "change_detection", "shortest_s": 70.0}, "is not below longest_s"),
    ):
        with pytest.raises(ConfigError, match=said):
            validate(InferenceConfig, {"events": values}, "r")
