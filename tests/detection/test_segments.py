"""Rows of a recording, and events in the scores of frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecotf.config import validate
from ecotf.detection.finders import find_events
from ecotf.detection.frame_events import EventStream, FrameEventsConfig
from ecotf.detection.segments import SegmentsConfig, SegmentScores, halved_to, segment_windows
from ecotf.detection.view import in_order
from ecotf.errors import ConfigError

EVENTS = FrameEventsConfig(smooth_s=0.0, floor=0.05, gap_s=0.3)


@pytest.mark.parametrize("times", range(6))
def test_the_length_of_a_frame_is_known_from_how_many_there_are(times):
    for seen in range(4 * 2**times, 700):
        padded, cut = seen, seen
        for _ in range(times):
            padded, cut = -(-padded // 2), cut // 2
        assert halved_to(seen, padded) == halved_to(seen, cut) == 2**times


@pytest.mark.parametrize("n", [1, 7, 40, 41, 100, 203])
@pytest.mark.parametrize("block", [3, 10, 64, 500])
@pytest.mark.parametrize("margin", [0, 5, 25])
def test_patches_are_cut_as_from_the_whole(n, block, margin):
    sound = np.arange(1, n + 1, dtype=np.float32)
    blocks = [sound[i : i + block] for i in range(0, n, block)]
    found = list(segment_windows(blocks, 10, margin))
    assert len(found) == max(1, -(-n // 10))
    whole = np.concatenate([np.zeros(margin), sound, np.zeros(margin + 20)])
    for i, window in enumerate(found):
        np.testing.assert_array_equal(window, whole[10 * i : 10 * i + 10 + 2 * margin])


@pytest.mark.parametrize("n", [1, 7, 40, 41, 100, 203])
@pytest.mark.parametrize("block", [3, 64, 500])
@pytest.mark.parametrize("margin", [0, 5, 25])
def test_sound_is_repeated_beyond_the_ends(n, block, margin):
    sound = np.arange(1, n + 1, dtype=np.float32)
    found = list(segment_windows([sound[i : i + block] for i in range(0, n, block)], 10, margin, "repeat"))
    near = min(n, margin + 10), min(n, 2 * margin + 10)
    before = np.tile(sound[: near[0]], 60)[-margin:] if margin else []
    whole = np.concatenate([before, sound, np.tile(sound[-near[1] :], 100)])
    assert len(found) == max(1, -(-n // 10))
    for i, window in enumerate(found):
        np.testing.assert_array_equal(window, whole[10 * i : 10 * i + 10 + 2 * margin])


def test_frames_beyond_the_end_are_dropped():
    frames, times = np.arange(6, dtype=np.float32)[:, None], np.arange(6) + 0.5
    scores = SegmentScores(np.zeros((2, 1), np.float32), frames, times, 1.0)
    assert scores.until(3.2).frames.ravel().tolist() == [0, 1, 2] and len(scores.until(3.2).rows) == 2
    assert len(scores.until(0.1).frame_times) == 1 and len(scores.until(9.0).frame_times) == 6
    assert SegmentScores(np.zeros((1, 1), np.float32), None, np.empty(0), 0.0).until(1.0).frames is None


def test_what_a_resampler_leaves_over_is_no_row():
    assert len(list(segment_windows([np.ones(1001, np.float32)], 100, 0))) == 10
    assert len(list(segment_windows([np.ones(1010, np.float32)], 100, 0))) == 11


def test_an_event_is_where_the_score_is():
    times = (np.arange(100) + 0.5) * 0.1
    p = np.full((100, 2), 0.01)
    p[20:30, 0] = 0.8  # 2.0 to 3.0 s
    p[60:62, 1] = 0.4
    p[0:3, 1] = 0.9  # begins with the recording
    found = find_events(p, times, 0.1, ["a", "b"], (100.0, 200.0), EVENTS, calls=True)
    rows = {(row.label, round(row.score, 2)): row for row in found.itertuples()}
    assert set(rows) == {("a", 0.8), ("b", 0.4), ("b", 0.9), ("call", 0.8), ("call", 0.4), ("call", 0.9)}
    event = rows["a", 0.8]
    assert event.start_s == pytest.approx(2.0, abs=0.11) and event.end_s == pytest.approx(3.0, abs=0.11)
    assert rows["b", 0.9].start_s == 0.0 and rows["b", 0.9].end_s == pytest.approx(0.3, abs=0.11)
    assert (found["low_hz"] == 100).all() and (found["high_hz"] == 200).all()


def test_events_keep_their_time_where_rows_are_no_whole_number_of_frames():
    times = np.concatenate([row * 2.0 + 0.06 + 0.16 * np.arange(13) for row in range(20)])  # 13 frames in 2 s
    p = np.where(np.abs(times - 35.0) < 0.3, 0.9, 0.01)[:, None]
    found = find_events(p, times, 0.16, ["a"], (0.0, 1.0), EVENTS)
    best = found.loc[found["score"].idxmax()]
    assert (best["start_s"] + best["end_s"]) / 2 == pytest.approx(35.0, abs=0.1)


def test_ripples_of_one_event_are_one():
    p = np.full((60, 1), 0.02)
    p[10:40, 0] = 0.7
    p[15, 0] = p[30, 0] = 0.75
    times = (np.arange(60) + 0.5) * 0.1
    assert len(find_events(p, times, 0.1, ["a"], (0.0, 1.0), EVENTS)) == 1
    assert len(find_events(p * 0, times, 0.1, ["a"], (0.0, 1.0), EVENTS)) == 0


def test_bad_settings():
    with pytest.raises(ConfigError, match="shorter than a row"):
        validate(SegmentsConfig, {"segment_s": 5, "window_s": 4}, "r")
    with pytest.raises(ConfigError, match="centre_frames"):
        validate(SegmentsConfig, {"shift_frames": 3}, "r")


@pytest.mark.parametrize("seed", range(30))
def test_events_as_they_come_are_those_of_the_whole(seed):
    """To the bit, however the frames are cut; nothing comes out that begins before what was settled."""
    rng = np.random.default_rng(seed)
    t, rows = int(rng.integers(1, 9)), int(rng.integers(1, 60))
    inside_s = (np.arange(t) + 0.5) / t * float(rng.choice([1.0, 0.97]))
    times = (np.arange(rows)[:, None] + inside_s).ravel()
    config = FrameEventsConfig(
        smooth_s=float(rng.choice([0, 0.1, 0.5])), gap_s=float(rng.choice([0.4, 2.0])),
        edge=float(rng.choice([0.5, 0.2])),
    )  # fmt: skip
    scores = rng.random((rows * t, 3)) ** rng.integers(1, 14)
    frame_s, names = float(np.diff(inside_s).mean()) if t > 1 else 1.0, ["a", "b", "c"]
    whole, stream = (EventStream(names, np.full(3, 0.3), frame_s, (0.0, 1.0), config) for _ in range(2))
    expected = in_order([whole.push(scores, times), whole.finish()])
    tables, at = [], 0
    while at < len(scores):
        n, settled_s = int(rng.integers(1, 12)), stream.settled_s
        tables.append(stream.push(scores[at : at + n], times[at : at + n]))
        assert (tables[-1]["start_s"] >= settled_s).all()
        at += n
    tables.append(stream.finish())
    pd.testing.assert_frame_equal(in_order(tables), expected, check_exact=True)
    # An event below its threshold has no say in one that is above.
    every = find_events(scores, times, frame_s, names, (0.0, 1.0), config)
    above = every[every["score"] >= 0.3].reset_index(drop=True)
    pd.testing.assert_frame_equal(above, expected, check_exact=False, rtol=0, atol=1e-9)
    assert (expected["detection_score"] >= expected["score"]).all()
