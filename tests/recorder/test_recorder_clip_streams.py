"""Windows and events of a stream of clips, as they come: they are those that the desktop finds in the whole."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from ecotf_recorder.event_facts import EventFacts, read_events
from ecotf_recorder.scoring.change_events import open_events
from ecotf_recorder.scoring.frame_events import EventStream
from ecotf_recorder.scoring.opening import open_stream
from recorder_states import clip_facts

from ecotf.detection.change_events import ChangeDetectionConfig
from ecotf.detection.finders import FinderConfig, find_events
from ecotf.detection.frame_events import FrameEventsConfig
from ecotf.detection.onset_events import OnsetEventsConfig
from ecotf.detection.segments import segment_windows


@pytest.mark.parametrize("ends", ["silence", "repeat"])
@pytest.mark.parametrize(("seconds", "margin_s"), [(0.3, 0.5), (2.0, 0.5), (3.21, 0.0), (3.21, 1.7)])
def test_windows_are_the_desktops(ends, seconds, margin_s):
    row, margin, seen = 1000, round(1000 * margin_s), []
    sound = np.arange(1, round(1000 * seconds) + 1, dtype=np.int16)
    facts = clip_facts(segment_samples=row, margin_samples=margin, samples=row + 2 * margin, repeats=ends == "repeat")
    model = SimpleNamespace(facts=facts, segment=lambda window: seen.append(window.copy()) or {"scores": np.zeros(2)})
    stream = open_stream(model)
    for at in range(0, len(sound), 333):
        stream.push(sound[at : at + 333])
    stream.finish()
    expected = list(segment_windows([sound.astype(np.float32)], row, margin, ends))
    np.testing.assert_array_equal(np.stack(seen), np.stack(expected))


@pytest.mark.parametrize("seed", range(40))
def test_events_as_they_come_are_those_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    t, rows = int(rng.integers(1, 9)), int(rng.integers(1, 50))
    times = (np.arange(t) + 0.5) / t * float(rng.choice([1.0, 0.97]))
    config = FrameEventsConfig(
        smooth_s=float(rng.choice([0, 0.1, 0.5])), floor=float(rng.choice([0.01, 0.1])),
        gap_s=float(rng.choice([0.4, 2.0])), edge=float(rng.choice([0.5, 0.2])),
    )  # fmt: skip
    scores = (rng.random((rows * t, 2)) ** rng.integers(1, 12)).astype(np.float32)
    n = int(rng.integers((rows - 1) * t + 1, rows * t + 1))
    middles = (np.arange(rows)[:, None] * 1.0 + times).ravel()
    frame_s = float(np.diff(times).mean()) if t > 1 else 1.0
    expected = find_events(scores[:n].astype(float), middles[:n], frame_s, ["0", "1"], (0, 1), config)
    facts = clip_facts(frame_times_s=times, frame_s=frame_s, events=EventFacts(**config.model_dump(exclude={"name"})))
    stream, found = EventStream(facts, facts.events, 600.0), []
    for row in range(rows):
        settled_s = stream.settled_s
        stream.push(scores[row * t : (row + 1) * t])
        out = stream.settle(None) if row < rows - 1 else stream.settle(middles[n - 1] + 1e-9)
        assert all(event.start_s >= settled_s for event in out)
        found += out
    mine = sorted((event.start_s, event.end_s, str(event.code), event.score, event.detection_score) for event in found)
    theirs = sorted(
        expected[["start_s", "end_s", "label", "score", "detection_score"]].itertuples(index=False, name=None)
    )
    assert [row[2] for row in mine] == [row[2] for row in theirs]
    np.testing.assert_allclose([row[:2] + row[3:] for row in mine], [row[:2] + row[3:] for row in theirs], atol=1e-9)


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("finder", ["change_detection", "onsets"])
def test_events_of_streams_that_both_have_are_those_of_the_whole(finder, seed):
    rng = np.random.default_rng(seed)
    t, rows = int(rng.integers(1, 9)), int(rng.integers(1, 50))
    times = (np.arange(t) + 0.5) / t * float(rng.choice([1.0, 0.97]))
    limits = {"floor": float(rng.choice([0.01, 0.1])), "shortest_s": float(rng.choice([0.0, 0.5]))}
    numbers: dict[str, dict[str, float | None]]
    config: FinderConfig
    newer = seed % 3 > 0  # else as in files from before there were these settings
    if finder == "onsets":
        scored = {"frames": 0.7, "lowered": float(rng.choice([0.5, 1.0])), "outvoted": 0.6} if newer else {}
        config = OnsetEventsConfig(**limits, **scored, longest_s=4.0)
        numbers = {
            name: {"gap_s": float(rng.choice([0.1, 0.5])), "pull": 0.3 if seed % 2 else None} for name in ("0", "1")
        }
    else:
        config = ChangeDetectionConfig(**limits, outvoted=0.6 if newer else 1.0)
        numbers = {name: {"step_s": float(rng.choice([0.3, 1.0])), "drop": 0.3, "ratio": None} for name in ("0", "1")}
    scores = np.repeat(rng.random((rows * t, 8)), 3, axis=0)[: rows * t] ** rng.integers(1, 8)
    scores = scores.astype(np.float32)
    middles, n = (np.arange(rows)[:, None] + times).ravel(), int(rng.integers((rows - 1) * t + 1, rows * t + 1))
    frame_s = float(np.diff(times).mean()) if t > 1 else 1.0
    expected = find_events(scores[:n], middles[:n], frame_s, ["0", "1"], (0, 1), config, numbers=numbers)
    described = json.loads(json.dumps(config.facts(["0", "1"], numbers)))
    if not newer:
        described = {name: value for name, value in described.items() if name not in ("frames", "lowered", "outvoted")}
    facts = clip_facts(frame_times_s=times, frame_s=frame_s, events=read_events(described, 2))
    stream, found = open_events(facts, 600.0), []
    for row in range(rows):
        stream.push(scores[row * t : (row + 1) * t])
        found += stream.settle(None) if row < rows - 1 else stream.settle(middles[n - 1] + 1e-9)
    mine = sorted((one.start_s, one.end_s, str(one.code), one.score, one.detection_score) for one in found)
    columns = ["start_s", "end_s", "label", "score", "detection_score"]
    assert mine == sorted(expected[columns].itertuples(index=False, name=None))


def test_an_event_without_end_is_cut_and_memory_stays():
    facts = clip_facts(events=EventFacts(0.0, 0.01, 0.4, 0.5))
    stream, found, held = EventStream(facts, facts.events, 20.0), [], 0
    rng = np.random.default_rng(0)
    for _ in range(400):
        stream.push(rng.uniform(0.8, 0.9, (4, 2)).astype(np.float32))
        found += stream.settle(None)
        held = max(held, len(stream._frames))
    assert held <= 20 * 4 + 4 * 4 and len(found) > 10
