"""What every stream promises, on the desktop and on the recorder.

How the sound is cut makes no difference to a bit, what is settled stays, and silence says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recorder_stand_ins import SegmentStandIn, StandIn  # also puts the recorder on the path
from tiny_embedder import RATE as TINY_RATE
from tiny_embedder import tiny_transfer_run

from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.gate import FittedGate
from ecotf.detection.view import COLUMNS, in_order
from ecotf.errors import ConfigError
from ecotf.tasks.base import TASKS, Run, StreamOptions, get_task
from ecotf.tasks.parts import detections_of_part

TINY = "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}"
CLIPS = (TINY, "clips.seconds=2.0", "inference.segment_s=1.0", "inference.batch=3")
EVENTS = ("inference.report=events", "inference.score=centre_frames")
CALLS_RATE, CLIPS_RATE = 256_000, 32_000


@dataclass(frozen=True)
class Case:
    """A run, a sound that it finds something in, and what is asked."""

    task: str
    run: Any
    rate: int
    sound: np.ndarray
    options: StreamOptions = StreamOptions()  # noqa: RUF009 - frozen
    is_of_events: bool = False
    known: dict[StreamOptions, Any] = field(default_factory=dict)


class OnRecorder:
    """A model on the recorder, whose streams give tables as those of the desktop do."""

    def __init__(self, model: Any) -> None:
        self.model, self.classes = model, model.facts.species

    def open_stream(self, sample_rate: int, options: StreamOptions) -> RecorderStream:
        return RecorderStream(self.model, options)


class RecorderStream:
    def __init__(self, model: Any, options: StreamOptions) -> None:
        from ecotf_recorder.scoring.opening import open_stream

        levels = None if options.threshold is None else dict.fromkeys(model.facts.thresholds, options.threshold)
        self._stream = open_stream(model, levels, options.unnamed, 0.3)

    def push(self, sound: np.ndarray) -> pd.DataFrame:
        return as_table(self._stream.push(sound))

    def finish(self) -> pd.DataFrame:
        return as_table(self._stream.finish())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def as_table(found: list[Any]) -> pd.DataFrame:
    return in_order([pd.DataFrame(found, columns=list(COLUMNS))] if found else [])


def sweeps(seconds: float) -> np.ndarray:
    """Loud sweeps in noise, with a quiet stretch in the middle."""
    rng = np.random.default_rng(3)
    samples = 0.002 * rng.standard_normal(round(seconds * CALLS_RATE))
    time = np.arange(round(0.005 * CALLS_RATE)) / CALLS_RATE
    for start in np.arange(0.03, seconds - 0.02, 0.047):
        if not 0.4 * seconds < start < 0.7 * seconds:
            sweep = np.sin(2 * np.pi * (rng.uniform(40e3, 90e3) * time - 2e6 * time**2)) * np.hanning(time.size)
            samples[round(start * CALLS_RATE) :][: time.size] += 0.2 * sweep
    return samples.astype(np.float32)


def noise(seconds: float) -> np.ndarray:
    """Noise whose level goes up and down."""
    rng = np.random.default_rng(5)
    n = round(seconds * CLIPS_RATE)
    level = 0.05 + 0.05 * np.sin(np.arange(n) / CLIPS_RATE * 5)
    return (level * rng.standard_normal(n)).astype(np.float32)


@pytest.fixture(scope="module")
def cases(make_loud_run, untrained_clip_run, tmp_path_factory) -> dict[str, Case]:
    calls, clips = get_task("calls"), get_task("clips")
    gate = FittedGate(20.0, 200, 1, 400, 300)
    thresholds = {"Myotis": 0.45, "Nyctalus": 0.55, CALL_LABEL: 0.5}
    bats = calls.load(make_loud_run(tmp_path_factory.mktemp("calls"), thresholds, gate))

    def birds(classes: list[str], *overrides: str) -> Run:
        return clips.load(untrained_clip_run(tmp_path_factory.mktemp("clips"), classes, [*CLIPS, *overrides]))

    transfer = clips.load(tiny_transfer_run(tmp_path_factory.mktemp("transfer"), "inference.batch=3"))
    segments, more, events = birds(["owl", "wren"]), birds(["robin", "wren"], "seed=2"), birds(["owl"], *EVENTS)
    night, dawn = sweeps(1.0), noise(7.3)
    return {
        "calls": Case("calls", bats, CALLS_RATE, night),
        "calls, named only": Case("calls", bats, CALLS_RATE, night, StreamOptions(unnamed=False)),
        "calls, gate": Case("calls", bats, CALLS_RATE, night, StreamOptions(gate=True)),
        "segments": Case("clips", segments, CLIPS_RATE, dawn, StreamOptions(threshold=0.3)),
        "segments of two runs": Case("clips", clips.join([segments, more]), CLIPS_RATE, dawn, StreamOptions(0.3)),
        "frozen embedder": Case("clips", transfer, TINY_RATE, noise(7.3)[::2], StreamOptions(threshold=0.3)),
        "events": Case("clips", events, CLIPS_RATE, dawn, StreamOptions(threshold=0.02), is_of_events=True),
        "recorder: calls": Case("calls", OnRecorder(StandIn(bats, takes="float32")), CALLS_RATE, night),
        "recorder: segments": Case(
            "clips", OnRecorder(SegmentStandIn(segments)), CLIPS_RATE, dawn, StreamOptions(threshold=0.3)
        ),
        "recorder: events": Case(
            "clips", OnRecorder(SegmentStandIn(events)), CLIPS_RATE, dawn, StreamOptions(threshold=0.02)
        ),
    }


DESKTOP = (
    "calls", "calls, named only", "calls, gate", "segments", "segments of two runs", "frozen embedder", "events",
)  # fmt: skip
RECORDER = ("recorder: calls", "recorder: segments", "recorder: events")


@pytest.fixture(params=[*DESKTOP, *RECORDER])
def case(request, cases) -> Case:
    return cases[request.param]


@pytest.fixture(params=DESKTOP)
def of_desktop(request, cases) -> Case:
    return cases[request.param]


def uncut(n: int) -> list[int]:
    return []


def heard(case: Case, cut: Callable[[int], list[int]] = uncut, sound: np.ndarray | None = None):
    """All detections of a sound that comes in pieces, in order; and the stream. The case's own sound is heard once."""
    if cut is not uncut or sound is not None:
        return listened(case, cut, sound)
    if case.options not in case.known:
        case.known[case.options] = listened(case, cut, sound)
    return case.known[case.options]


def listened(case: Case, cut: Callable[[int], list[int]], sound: np.ndarray | None):
    sound = case.sound if sound is None else sound
    stream = case.run.open_stream(case.rate, case.options)
    tables, settled = [], 0.0
    for piece in np.split(sound, cut(len(sound))):
        table = stream.push(piece)
        assert not len(table) or table["start_s"].min() >= settled, "a detection begins before what was settled"
        settled = stream.settled_s
        tables.append(table)
    table = stream.finish()
    assert not len(table) or table["start_s"].min() >= settled
    whole = pd.concat([*tables, table], ignore_index=True)
    return whole.sort_values(list(COLUMNS), ignore_index=True), stream


def test_every_task_has_a_case(cases):
    assert tuple(cases) == DESKTOP + RECORDER
    for names in (DESKTOP, RECORDER):
        assert {cases[name].task for name in names} == set(TASKS)


@pytest.mark.parametrize("seed", [0, 1])
def test_how_the_sound_is_cut_makes_no_difference_to_a_bit(case, seed):
    expected, whole = heard(case)
    assert len(expected) > 1 and list(expected.columns) == list(COLUMNS)
    rng = np.random.default_rng(seed)
    many = 7 if seed else 60
    found, stream = heard(case, lambda n: sorted(rng.integers(0, n, many).tolist()))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert stream.windows == whole.windows > 0 and stream.samples == whole.samples == len(case.sound)


@pytest.mark.parametrize("name", [name for name in DESKTOP if name != "calls, named only"])
def test_a_channel_may_be_cut_into_parts_that_several_hear(cases, name):
    """Together they have the detections of the whole, to the bit; where they could not, a run says so."""
    case = cases[name]
    cuts = case.run.cuts(case.rate, case.options)
    if case.is_of_events or case.options.gate:
        assert cuts is None
        return
    length = max(1, -(-cuts.before // cuts.step)) * cuts.step
    n = int(2.6 * length)
    sound = np.tile(case.sound, 1 + n // len(case.sound))[:n]
    sound[: length + length // 4] = 0  # a part may be silent where the whole is not
    expected, _ = heard(case, sound=sound)
    starts = cuts.starts(len(sound), length)
    assert len(starts) > 2 and all(start % cuts.step == 0 for start in starts)
    parts = []
    for start, stop in zip(starts, [*starts[1:], None], strict=True):
        blocks = np.split(sound[cuts.first_sample(start) :], [length // 3, length, length + 7, 2 * length])
        stop_s = None if stop is None else stop / case.rate
        parts.append(detections_of_part(cuts.open(start), blocks, start / case.rate, stop_s))
    assert min(map(len, parts[1:])) > 1
    found = pd.concat(parts, ignore_index=True).sort_values(list(COLUMNS), ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_detections_are_where_the_sound_is(case):
    found, stream = heard(case)
    seconds = len(case.sound) / case.rate
    assert (found["start_s"] >= 0).all() and (found["end_s"] <= seconds + 1e-9).all()
    assert (found["end_s"] > found["start_s"]).all() and (found["high_hz"] > found["low_hz"]).all()
    assert found["score"].between(0, 1).all() and found["detection_score"].between(0, 1).all()
    assert set(found["label"]) <= {*case.run.classes, "bat"}
    assert not stream.silent


def test_silence_gives_nothing(case):
    found, stream = heard(case, lambda n: [n // 3], np.zeros_like(case.sound))
    assert len(found) == 0 and list(found.columns) == list(COLUMNS)
    assert stream.silent


def test_detections_wait_while_the_sound_is_silent(case):
    """They come with the first sample that differs; how the silence is cut makes no difference."""
    half = len(case.sound) // 2
    sound = np.concatenate([np.zeros(half, np.float32), case.sound])
    stream = case.run.open_stream(case.rate, case.options)
    assert len(stream.push(sound[:half])) == 0 and stream.silent
    expected, _ = heard(case, sound=sound)
    found, stream = heard(case, lambda n: [half // 3, half, half + 1, 2 * half], sound)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert len(found) > 1 and not stream.silent
    if case.task == "clips":  # these networks find something in silence too, so something did wait
        assert found["start_s"].min() == 0


@pytest.mark.parametrize("name", RECORDER)
def test_the_recorder_finds_what_the_desktop_finds(cases, name):
    theirs, mine = cases[name.removeprefix("recorder: ")], cases[name]
    (expected, desktop), (found, recorder) = heard(theirs), heard(mine)
    assert found["label"].tolist() == expected["label"].tolist()
    numbers = [column for column in COLUMNS if column != "label"]
    np.testing.assert_allclose(found[numbers].astype(float), expected[numbers].astype(float), rtol=0, atol=1e-3)
    assert recorder.samples == desktop.samples and recorder.windows == desktop.windows


def test_an_end_without_sound(case):
    stream = case.run.open_stream(case.rate, case.options)
    assert len(stream.finish()) == 0 and stream.samples == 0


def test_a_wrong_rate_is_refused_in_one_line(of_desktop):
    with pytest.raises(ConfigError) as error:
        of_desktop.run.open_stream(8_000, of_desktop.options)
    assert "8000" in str(error.value) and "\n" not in str(error.value)


def test_without_a_threshold_detections_are_the_scores(of_desktop):
    """Of calls, those that are named; an event's score is a mean of frames, never above the greatest of a segment."""
    case = replace(of_desktop, options=replace(of_desktop.options, threshold=0.0, gate=False))
    scores = case.run.scores(case.sound, case.rate).sort_values(list(COLUMNS), ignore_index=True)
    assert list(scores.columns) == list(COLUMNS) and scores["score"].between(0, 1).all()
    found, stream = heard(case)
    if case.task == "clips":
        assert len(scores) == stream.windows * len(case.run.classes)
    if of_desktop.is_of_events:
        assert 0 < found["score"].max() <= scores["score"].max()
        return
    found, scores = (table[~table["label"].isin([CALL_LABEL, "bat"])] for table in (found, scores))
    assert len(scores) > 1
    pd.testing.assert_frame_equal(found.reset_index(drop=True), scores.reset_index(drop=True), check_exact=True)


def test_embeddings_are_of_what_the_stream_scores(of_desktop):
    """One for each patch or segment; runs that answer together have none in common."""
    case = replace(of_desktop, options=replace(of_desktop.options, gate=False))
    if len(case.run.paths) > 1:
        with pytest.raises(ConfigError, match="2 runs together have no embedding"):
            case.run.embed(case.sound, case.rate)
        return
    embedded, (_, stream) = case.run.embed(case.sound, case.rate), heard(case)
    assert embedded.ndim == 2 and len(embedded) == stream.windows > 1 and np.isfinite(embedded).all()
