"""Edges of events in frequency: where the sound is, equal however it is cut, and fitted where that errs less."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.config import validate
from ecotf.datasets.manifest import make_manifest
from ecotf.detection.band_edges import ClassEdges, EdgeSettings, EdgeStream
from ecotf.detection.edge_fit import MEASURES, fit_class_edges
from ecotf.detection.frequency_boxes import BoxedEvents, BoxesConfig, unfitted
from ecotf.detection.view import COLUMNS
from ecotf.errors import ConfigError
from ecotf.tasks.clips.fit_boxes import fit_boxes, judge_boxes
from ecotf.tasks.clips.plan import InferenceConfig

RATE, BAND_HZ = 16000, (200.0, 9000.0)
SETTINGS = EdgeSettings(128, 0.5, *BAND_HZ)
USUAL = ClassEdges.read(unfitted(BAND_HZ))


def sweeps(seconds: float, calls: list[tuple[float, float, float, float]], seed: int = 0) -> np.ndarray:
    """Noise with tones that rise: ``(start_s, end_s, from_hz, to_hz)`` each; int16 ``[n]``."""
    times = np.arange(round(seconds * RATE)) / RATE
    sound = 0.01 * np.random.default_rng(seed).standard_normal(len(times))
    for start, end, low, high in calls:
        inside = (times >= start) & (times < end)
        since = times[inside] - start
        sound[inside] += 0.2 * np.sin(2 * np.pi * (low + (high - low) / (end - start) / 2 * since) * since)
    return np.rint(32767 * sound).astype(np.int16)


def many_calls(seconds: float) -> list[tuple[float, float, float, float]]:
    rng = np.random.default_rng(3)
    starts = [at + rng.uniform(0, 0.3) for at in np.arange(0.0, seconds - 0.9, 0.9)]
    lengths = rng.uniform(0.005, 0.5, len(starts))
    return [
        (at, at + length, 1000.0 + 500 * i % 3000, 2000.0 + 700 * i % 5000)
        for i, (at, length) in enumerate(zip(starts, lengths, strict=True))
    ]


@pytest.mark.parametrize("form", ["int16", "float32"])
def test_edges_are_equal_however_the_sound_is_cut(form):
    calls = many_calls(30.0)
    sound = sweeps(30.0, calls)
    sound = sound if form == "int16" else (sound / 32768).astype(np.float32)

    def found(piece: int) -> dict[float, tuple[float, float]]:
        stream: EdgeStream[float] = EdgeStream(SETTINGS, [USUAL], RATE)
        edges, told = {}, 0
        for at in range(0, len(sound), piece):
            stream.hear(sound[at : at + piece])
            now_s = min(len(sound), at + piece) / RATE - 0.3
            own = [(a, b, 0, a) for a, b, *_ in calls[told:] if b < now_s]
            told += len(own)
            going = stream.settle(own, min(now_s, calls[told][0] if told < len(calls) else now_s))
            edges |= {start: (low, high) for start, low, high in going}
            assert piece > 9999 or stream._levels.end - stream._levels.first < 900
        last = stream.settle([(a, b, 0, a) for a, b, *_ in calls[told:]], None)
        return edges | {start: (low, high) for start, low, high in last}

    whole = found(len(sound))
    assert set(whole) == {call[0] for call in calls} and len(set(whole.values())) > 15
    for piece in (1777, 100_000):
        assert found(piece) == whole


def test_edges_are_where_the_sound_is():
    calls = [(1.0, 1.5, 1500.0, 3000.0), (3.0, 3.2, 5000.0, 5000.0)]
    stream: EdgeStream[int] = EdgeStream(SETTINGS, [USUAL], RATE)
    stream.hear(sweeps(5.0, calls))
    events = [(call[0], call[1], 0, i) for i, call in enumerate(calls)]
    for (number, *edges), call in zip(stream.settle(events, 3.0), calls, strict=True):
        assert calls[number] == call and edges == pytest.approx(call[2:], abs=180)  # rows of 69 Hz
    line = {"weight": 1.0, "offset_hz": 5000.0, "typical_hz": 700.0}
    far = ClassEdges.read({**unfitted(BAND_HZ), "low": line, "high": line})
    other: EdgeStream[int] = EdgeStream(SETTINGS, [far], RATE)
    other.hear(sweeps(5.0, calls))
    assert other.edges_hz(1.0, 1.5, 0) == (pytest.approx(6500, abs=180), 8000.0)  # half of the sample rate
    empty: EdgeStream[int] = EdgeStream(SETTINGS, [USUAL], RATE)
    empty.hear(np.zeros(10, np.int16))
    assert empty.settle([(0.0, 0.0006, 0, 7)], None) == [(7, 200.0, 8000.0)]


def test_an_event_waits_for_what_is_after_it():
    boxed = BoxedEvents(BoxesConfig(rows=128, around_s=0.5), ["owl"], None, BAND_HZ, RATE)
    sound = sweeps(3.0, [(1.0, 1.2, 2000.0, 2500.0)])
    table = pd.DataFrame([(1.0, 1.2, *BAND_HZ, "owl", 0.9, 0.9)], columns=list(COLUMNS))
    boxed.hear(sound[: round(1.6 * RATE)])
    assert boxed.settle([table], 1.4) == [] and boxed.settled_s(1.4) == 1.0
    boxed.hear(sound[round(1.6 * RATE) :])
    (out,) = boxed.settle([], 2.8)
    assert boxed.settled_s(2.8) == 2.8
    assert out.drop(columns=["low_hz", "high_hz"]).equals(table.drop(columns=["low_hz", "high_hz"]))
    assert out[["low_hz", "high_hz"]].to_numpy()[0] == pytest.approx([2000, 2500], abs=180)


def test_a_line_is_taken_where_it_errs_less_than_the_median_box():
    rng = np.random.default_rng(0)
    truth = np.column_stack([rng.uniform(1000, 3000, 60), rng.uniform(5000, 5100, 60)])
    found = rng.uniform(1000, 9000, (60, len(MEASURES), 2))
    found[:, 4] = truth + rng.normal(0, [30, 400], (60, 2)) + [200, 0]  # the fifth measure knows
    found[::7] = np.nan
    fitted = fit_class_edges(found, truth, np.repeat(np.arange(6), 10), (800.0, 6000.0))
    assert (fitted["over_db"], fitted["under_db"], fitted["share"]) == MEASURES[4]
    assert fitted["low"]["weight"] == 1.0 and fitted["low"]["offset_hz"] == pytest.approx(-200, abs=30)
    assert fitted["high"]["weight"] == 0.0 and fitted["high"]["offset_hz"] == fitted["high"]["typical_hz"]
    few = fit_class_edges(found[:9], truth[:9], np.arange(9), (800.0, 6000.0))
    assert few["low"]["weight"] == few["high"]["weight"] == 0.0 and few["boxes"] == 9
    same = fit_class_edges(found, np.tile([900.0, 1900.0], (60, 1)), np.zeros(60, int), (800.0, 6000.0))
    assert same["low"] == {"weight": 0.0, "offset_hz": 900.0, "typical_hz": 900.0}


def test_boxes_of_the_training_recordings_are_fitted_and_others_judge(tmp_path: Path):
    rows = []
    for number in range(4):
        rng = np.random.default_rng(number)
        pitches = rng.uniform(1000, 4000, 6)
        calls = [(1.0 + 1.5 * i, 1.4 + 1.5 * i, pitch, pitch + 1500) for i, pitch in enumerate(pitches)]
        soundfile.write(tmp_path / f"{number}.wav", sweeps(10.5, calls, number), RATE)
        rows += [(f"{number}.wav", *call, "owl", "test" if number == 3 else "train") for call in calls]
    columns = ["recording", "start_s", "end_s", "low_hz", "high_hz", "label", "split"]
    manifest = make_manifest(pd.DataFrame(rows, columns=columns), tmp_path, "test")
    plan = SimpleNamespace(
        seed=1,
        data=SimpleNamespace(channel="mix"),
        inference=SimpleNamespace(boxes=BoxesConfig(rows=128, around_s=0.5)),
    )
    data: Any = SimpleNamespace(plan=plan, manifest=manifest, durations=dict.fromkeys(manifest.recordings, 10.5))
    model: Any = SimpleNamespace(band_hz=BAND_HZ, sample_rate=RATE)
    said: list[str] = []
    numbers = fit_boxes(data, model, ["owl", "wren"], said.append)
    assert numbers["owl"]["low"]["weight"] == numbers["owl"]["high"]["weight"] == 1.0
    assert numbers["wren"] == unfitted(BAND_HZ) and len(said) == 1 and said[0].count("wren") == 1
    judged = judge_boxes(data, model, ["owl", "wren"], numbers, "test", said.append)
    assert set(judged) == {"owl"} and judged["owl"]["n"] == 6
    assert judged["owl"]["low_hz"] < 100 and judged["owl"]["high_hz"] < 100 < judged["owl"]["typical_low_hz"]


def test_segments_have_no_edges():
    assert InferenceConfig().boxes is None
    with pytest.raises(ConfigError, match="segments have no edges in frequency; allowed: with report = events"):
        validate(InferenceConfig, {"boxes": {}}, "r")
