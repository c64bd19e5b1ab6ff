"""A model of clips on the recorder: rows and events are the desktop's, in pieces of every size and live."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from convert_here import make_here
from ecotf_recorder.classify import classify
from ecotf_recorder.errors import ModelError
from ecotf_recorder.event_facts import read_boxes
from ecotf_recorder.facts import SegmentFacts, read_facts
from ecotf_recorder.model import DeviceModel, member
from ecotf_recorder.scoring.opening import latency_s, open_stream
from ecotf_recorder.selftest import selftest
from recorder_states import clip_facts

from ecotf.commands import run_classifier
from ecotf.detection.change_events import ChangeDetectionConfig
from ecotf.detection.frequency_boxes import BoxesConfig, unfitted
from ecotf.detection.onset_events import OnsetEventsConfig

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
        finder = ChangeDetectionConfig(outvoted=0.5)
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
        (
            lambda values: values.update(events=OnsetEventsConfig().facts(CLASSES, None) | {"lowered": 2.0}),
            "events.lowered = 2; allowed: from 0 to 1",
        ),
        (
            lambda values: values.update(events=ChangeDetectionConfig().facts(CLASSES, None) | {"outvoted": -1}),
            "events.outvoted = -1; allowed: from 0 to 1",
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
