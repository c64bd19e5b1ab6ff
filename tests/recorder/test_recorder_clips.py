"""A model of clips on the recorder: rows and events are the desktop's, in pieces of every size and live."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from convert_here import make_here
from ecotf_recorder.classify import classify
from ecotf_recorder.errors import ModelError
from ecotf_recorder.event_facts import EventFacts, read_boxes, read_events
from ecotf_recorder.facts import SegmentFacts, read_facts
from ecotf_recorder.model import DeviceModel, member
from ecotf_recorder.scoring.change_events import open_events
from ecotf_recorder.scoring.frame_events import EventStream
from ecotf_recorder.scoring.opening import latency_s, open_stream
from ecotf_recorder.selftest import selftest

from ecotf.commands import run_classifier
from ecotf.detection.change_events import ChangeDetectionConfig
from ecotf.detection.finders import FinderConfig, find_events
from ecotf.detection.frame_events import FrameEventsConfig
from ecotf.detection.frequency_boxes import BoxesConfig, unfitted
from ecotf.detection.onset_events import OnsetEventsConfig
from ecotf.detection.segments import segment_windows

ROOT = Path(__file__).parents[2]
RATE = 32_000
CLASSES = ("007", "owl")
RECIPE = (
    "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}",
    "clips.seconds=2.0", "inference.segment_s=1.0", "inference.ends=repeat", "inference.report=events",
    "inference.events={smooth_s: 0.2, floor: 0.01, gap_s: 0.3, edge: 0.95}",
)  # fmt: skip


def bird_sound(seed: int, seconds: float) -> np.ndarray:
    """Tones that come and go in noise, int16 ``[n]``."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(
        np.clip(np.sin(2 * np.pi * rng.uniform(0.1, 0.9) * time), 0, 1) ** 2 * np.sin(2 * np.pi * hertz * time)
        for hertz in (900, 2500, 6000)
    )
    return np.rint(32767 * (0.1 * tone + 0.01 * rng.standard_normal(len(time)))).astype(np.int16)


@pytest.fixture(scope="module")
def clip_device(untrained_clip_run, tmp_path_factory) -> tuple[Path, Path]:
    """A run that was never trained, and its model file; it reports events."""
    from ecotf.export.export import ExportJob
    from ecotf.export.settings import ExportSettings
    from ecotf.tasks.clips.export import ClipExport
    from ecotf.tasks.clips.run import load_clip_run

    folder = tmp_path_factory.mktemp("clip_device")
    run = untrained_clip_run(folder, CLASSES, RECIPE, level=0.02)
    exportable, settings = ClipExport(load_clip_run(run)), ExportSettings(rate=RATE)
    made = make_here(exportable, settings, ExportJob(seconds=6))
    (folder / "model.tflite").write_bytes(made.model)
    return run, folder / "model.tflite"


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clip_night")
    for seed, seconds in enumerate((7.63, 3.0, 0.4)):
        soundfile.write(folder / f"{seed}.wav", bird_sound(seed, seconds), RATE, subtype="PCM_16")
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE, subtype="PCM_16")
    soundfile.write(folder / "short.wav", bird_sound(9, 0.05), RATE, subtype="PCM_16")
    return folder


def answering_otherwise(report: str, path: Path, run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The same run and file, but both report segments, or find events by the changes of scores."""
    import shutil
    import zipfile

    other = Path(shutil.copytree(run, tmp_path / "other"))
    recipe = yaml.safe_load((other / "recipe.yaml").read_text())
    values = json.loads(member(path, "model.json"))
    assert values["report"] == "events" and values["events"]["name"] == "peaks"
    if report == "segments":
        recipe["inference"]["report"] = values["report"] = "segments"
    else:
        finder = ChangeDetectionConfig()
        numbers = {name: {"step_s": 0.3, "drop": None, "ratio": 1.02} for name in CLASSES}
        recipe["inference"]["events"] = finder.model_dump(mode="json")
        fitted = json.loads((other / "thresholds.json").read_text())
        boxes, band_hz = BoxesConfig(around_s=0.3), tuple(values["band_hz"])
        recipe["inference"]["boxes"] = boxes.model_dump(mode="json")
        edges = {"owl": {**unfitted(band_hz), "to_hz": 3000.0, "under_db": 30.0, "share": 0.01}}
        (other / "thresholds.json").write_text(json.dumps({**fitted, "finder": numbers, "boxes": edges}))
        values["events"] = finder.facts(CLASSES, numbers)
        values["boxes"] = boxes.facts(CLASSES, edges, band_hz)
    (other / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    made = tmp_path / "other.tflite"
    made.write_bytes(path.read_bytes()[: values["flatbuffer"]["bytes"]])
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("model.json", json.dumps(values))
    return other, made


@pytest.mark.parametrize("report", ["events", "segments", "changes"])
def test_detections_are_the_desktops(report, clip_device, night, tmp_path):
    run, path = clip_device
    if report != "events":
        run, path = answering_otherwise(report, path, run, tmp_path)
    model = DeviceModel(path)
    assert isinstance(model.facts, SegmentFacts) and model.facts.reports_events == (report != "segments")
    names = [str(path) for path in sorted(night.glob("*.wav"))]
    counts = classify(model, names, tmp_path / "device")
    run_classifier.main(["--model", str(run), str(night), "--output", str(tmp_path / "desktop")])
    tables = [pd.read_csv(tmp_path / side / "detections.csv", dtype={"label": str}) for side in ("device", "desktop")]
    ledgers = [pd.read_csv(tmp_path / side / "ledger.csv") for side in ("device", "desktop")]
    assert counts == {"done": 3, "silent": 1, "short": 1}
    for column in ("status", "n_detections"):
        assert ledgers[0][column].tolist() == ledgers[1][column].tolist()
    assert ledgers[0]["reason"].fillna("").tolist() == ledgers[1]["reason"].fillna("").tolist()
    device, desktop = tables
    assert len(device) > 5 and device["label"].nunique() == 2
    assert device["label"].tolist() == desktop["label"].tolist()
    edges = {"start_s": 1e-4, "end_s": 1e-4, "low_hz": 0.1, "high_hz": 0.1}
    assert desktop["high_hz"].nunique() > 2 if report == "changes" else desktop["high_hz"].nunique() == 1
    for column, least in {**edges, "score": 2e-4, "detection_score": 2e-4}.items():
        np.testing.assert_allclose(device[column], desktop[column], rtol=0, atol=least)


@pytest.mark.parametrize(("live", "boxes"), [(False, False), (True, False), (True, True)])
def test_sound_may_come_in_any_pieces(live, boxes, clip_device):
    model, sound = DeviceModel(clip_device[1]), bird_sound(5, 9.3)
    if boxes:
        band_hz = model.facts.band_hz
        facts = read_boxes(BoxesConfig(around_s=0.4).facts(CLASSES, None, band_hz), band_hz, len(CLASSES))
        model.facts = dataclasses.replace(model.facts, boxes=facts)
    whole = open_stream(model, live=live)
    expected = whole.push(sound) + whole.finish()
    assert len(expected) >= 2 and whole.windows == 10
    for piece in (911, 32_000, 100_001):
        stream, found = open_stream(model, live=live), []
        for at in range(0, len(sound), piece):
            found += stream.push(sound[at : at + piece])
            assert all(one.start_s <= stream.settled_s + 3 for one in found)
        early = len(found)
        found += stream.finish()
        assert early or piece > 100_000
        assert sorted(found) == sorted(expected)


def test_a_microphone_that_gives_one_value_says_nothing(clip_device):
    stream = open_stream(DeviceModel(clip_device[1]))
    assert stream.push(np.full(5 * RATE, 7, np.int16)) == [] and stream.silent and stream.finish() == []
    stream = open_stream(DeviceModel(clip_device[1]))
    assert stream.push(np.zeros(0, np.int16)) == [] and stream.finish() == []


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


def clip_facts(**changes: object) -> SegmentFacts:
    facts = SegmentFacts(
        name="a", run="b", precision="f32", kind="segments", sample_rate_hz=1000, takes="int16", species=("a", "b"),
        thresholds={"a": 0.5, "b": 0.5}, unnamed=False, window_s=0.1, samples=1000,
        segment_samples=1000, margin_samples=0, segment_s=1.0, repeats=False,
        frame_times_s=np.array([0.125, 0.375, 0.625, 0.875]), frame_s=0.25,
        band_hz=(0.0, 1.0), reports_events=False, events=EventFacts(0.1, 0.01, 0.4, 0.5),
        boxes=None,
    )  # fmt: skip
    return dataclasses.replace(facts, **changes)


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
    if finder == "onsets":
        config = OnsetEventsConfig(**limits, longest_s=4.0)
        numbers = {
            name: {"gap_s": float(rng.choice([0.1, 0.5])), "pull": 0.3 if seed % 2 else None} for name in ("0", "1")
        }
    else:
        config = ChangeDetectionConfig(**limits)
        numbers = {name: {"step_s": float(rng.choice([0.3, 1.0])), "drop": 0.3, "ratio": None} for name in ("0", "1")}
    scores = np.repeat(rng.random((rows * t, 8)), 3, axis=0)[: rows * t] ** rng.integers(1, 8)
    scores = scores.astype(np.float32)
    middles, n = (np.arange(rows)[:, None] + times).ravel(), int(rng.integers((rows - 1) * t + 1, rows * t + 1))
    frame_s = float(np.diff(times).mean()) if t > 1 else 1.0
    expected = find_events(scores[:n], middles[:n], frame_s, ["0", "1"], (0, 1), config, numbers=numbers)
    described = json.loads(json.dumps(config.facts(["0", "1"], numbers)))
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


def test_the_models_own_test(clip_device):
    assert selftest(DeviceModel(clip_device[1])).startswith("ok: ")
    assert latency_s(DeviceModel(clip_device[1]).facts) == 62.0 and latency_s(clip_facts()) == 1.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values["window"].update(samples=1), "window.samples is not segment_samples"),
        (lambda values: values["window"].pop("ends"), "lacks 'ends'"),
        (lambda values: values["window"].update(frame_times_s=[]), "of a model that gives no frames"),
        (lambda values: values["thresholds"].pop("owl"), "no threshold for 'owl'"),
        (lambda values: values.update(report="all"), "report = 'all'; allowed: segments, events"),
        (
            lambda values: values["events"].update(name="steps"),
            "events.name = 'steps'; allowed: peaks, change_detection, onsets",
        ),
        (
            lambda values: values.update(events=ChangeDetectionConfig().facts(["owl"], None)),
            "events.changes has 1 rows for 2 species",
        ),
        (
            lambda values: values.update(events=OnsetEventsConfig().facts(CLASSES, None) | {"step_s": 1e9}),
            "events.step_s or gap_s = 1e\\+09",
        ),
        (lambda values: values.update(kind="windows"), "of kind 'windows'; this recorder runs kinds"),
    ],
)
def test_a_description_that_cannot_be(change, said, clip_device):
    values = json.loads(member(clip_device[1], "model.json"))
    change(values)
    with pytest.raises(ModelError, match=said):
        read_facts(json.dumps(values))


def test_the_loop_writes_what_classify_finds(clip_device, night, tmp_path):
    """From a WAV file through the recorder's own loop, in a process of its own; it says what memory it took."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'model = "{clip_device[1]}"\nstate_dir = "{tmp_path / "state"}"\n'
        f'[source]\nkind = "file"\nfile = "{night / "0.wav"}"\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "deploy" / "recorder")}
    command = [sys.executable, "-m", "ecotf_recorder", "run", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(tmp_path / "state" / "detections.csv", dtype={"label": str})
    model = DeviceModel(clip_device[1])
    classify(model, [str(night / "0.wav")], tmp_path / "classified")
    expected = pd.read_csv(tmp_path / "classified" / "detections.csv", dtype={"label": str})
    assert sorted(zip(found["start_s"], found["label"], strict=True)) == sorted(
        zip(expected["start_s"], expected["label"], strict=True)
    )
    health = json.loads((tmp_path / "state" / "health.json").read_text())
    assert health["detections"] == len(expected) > 0 and health["rss_mb"] < 100
