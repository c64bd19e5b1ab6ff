"""What every stream promises: how the sound is cut makes no difference to a bit, and what is settled stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.gate import FittedGate
from ecotf.detection.view import COLUMNS
from ecotf.errors import ConfigError
from ecotf.tasks.base import TASKS, Run, StreamOptions, get_task

TINY = "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}"
CLIPS = (TINY, "clips.seconds=2.0", "inference.segment_s=1.0", "inference.batch=3")
EVENTS = ("inference.report=events", "inference.score=centre_frames")
CALLS_RATE, CLIPS_RATE = 256_000, 32_000


@dataclass(frozen=True)
class Case:
    """A run, a sound that it finds something in, and what is asked."""

    task: str
    run: Run
    rate: int
    sound: np.ndarray
    options: StreamOptions = StreamOptions()  # noqa: RUF009 - frozen


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

    segments, more, events = birds(["owl", "wren"]), birds(["robin", "wren"], "seed=2"), birds(["owl"], *EVENTS)
    night, dawn = sweeps(1.3), noise(7.3)
    return {
        "calls": Case("calls", bats, CALLS_RATE, night),
        "calls, named only": Case("calls", bats, CALLS_RATE, night, StreamOptions(unnamed=False)),
        "calls, gate": Case("calls", bats, CALLS_RATE, night, StreamOptions(gate=True)),
        "segments": Case("clips", segments, CLIPS_RATE, dawn, StreamOptions(threshold=0.3)),
        "segments of two runs": Case("clips", clips.join([segments, more]), CLIPS_RATE, dawn, StreamOptions(0.3)),
        "events": Case("clips", events, CLIPS_RATE, dawn, StreamOptions(threshold=0.02)),
    }


NAMES = ("calls", "calls, named only", "calls, gate", "segments", "segments of two runs", "events")


@pytest.fixture(params=NAMES)
def case(request, cases) -> Case:
    return cases[request.param]


def heard(case: Case, cut: Callable[[int], list[int]] = lambda n: [], sound: np.ndarray | None = None):
    """All detections of a sound that comes in pieces, in order; and the stream."""
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
    assert {case.task for case in cases.values()} == set(TASKS) and tuple(cases) == NAMES


@pytest.mark.parametrize("seed", [0, 1])
def test_how_the_sound_is_cut_makes_no_difference_to_a_bit(case, seed):
    expected, whole = heard(case)
    assert len(expected) > 1 and list(expected.columns) == list(COLUMNS)
    rng = np.random.default_rng(seed)
    many = 7 if seed else 60
    found, stream = heard(case, lambda n: sorted(rng.integers(0, n, many).tolist()))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert stream.windows == whole.windows > 0 and stream.samples == whole.samples == len(case.sound)


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


def test_an_end_without_sound(case):
    stream = case.run.open_stream(case.rate, case.options)
    assert len(stream.finish()) == 0 and stream.samples == 0


def test_a_wrong_rate_is_refused_in_one_line(case):
    with pytest.raises(ConfigError) as error:
        case.run.open_stream(8_000, case.options)
    assert "8000" in str(error.value) and "\n" not in str(error.value)


def test_scores_and_embeddings_are_of_the_same_sound(case):
    scores = case.run.scores(case.sound, case.rate)
    assert list(scores.columns) == list(COLUMNS) and scores["score"].between(0, 1).all()
    try:
        embedded = case.run.embed(case.sound, case.rate)
    except ConfigError as error:
        assert "several runs" in str(error) or "embedding" in str(error)  # runs together have none in common
    else:
        assert embedded.ndim == 2 and len(embedded) > 1 and np.isfinite(embedded).all()
