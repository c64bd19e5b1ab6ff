"""An enrolled run as one file: over a model of anybody and over a run of ecotf, the recorder's events are the run's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from convert_here import make_here
from tiny_embedder import RATE, tiny_embedder

from ecotf.export.export import ExportJob
from ecotf.export.settings import ExportSettings
from ecotf.inference.device_run import DeviceRun
from ecotf.model import Model
from ecotf.tasks.base import get_task
from ecotf.tasks.enrolment.enrol import NewRun, enrol
from ecotf.tasks.enrolment.examples import Example, boxes_of

TINY = (
    "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}",
    "clips.seconds=2.0", "inference.segment_s=1.0",
)  # fmt: skip
WHEN, CALL_S = (1.0, 2.5, 4.0, 5.5), 0.125


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> list[Example]:
    """Boxes of a call that is shorter than the windows, in two recordings."""
    from ecotf.datasets.manifest import read_manifest

    folder, rng = tmp_path_factory.mktemp("calls"), np.random.default_rng(2)
    rows = ["recording,start_s,end_s,label"]
    for number in range(2):
        sound = 0.02 * rng.normal(size=7 * RATE)
        times = np.arange(round(CALL_S * RATE)) / RATE
        for start in WHEN:
            at = round(start * RATE)
            sound[at : at + len(times)] += 0.3 * np.sin(2 * np.pi * 1001.3 * times + rng.uniform(0, 6))
            rows.append(f"{number}.wav,{start},{start + CALL_S},owl")
        soundfile.write(folder / f"{number}.wav", sound, RATE)
    (folder / "boxes.csv").write_text("\n".join(rows))
    return boxes_of(read_manifest(folder / "boxes.csv"), "owl")


def exported(run: Path, rate: int, folder: Path, **settings: object) -> DeviceRun:
    exportable = get_task("clips").exportable(get_task("clips").load(run))
    chosen = ExportSettings(rate=rate, sound="float32", **settings)
    made = make_here(exportable, chosen, ExportJob(seconds=7.0))
    assert not made.parity["failures"] and made.parity["detections"]["same_detections"] == 1
    (folder / "model.tflite").write_bytes(made.model)
    return DeviceRun(folder / "model.tflite")


def same_events(run: Path, device: DeviceRun, sound: np.ndarray, rate: int) -> None:
    expected, found = Model(get_task("clips").load(run)).detect(sound, rate), Model(device).detect(sound, rate)
    assert len(found) >= 2 and found["label"].tolist() == expected["label"].tolist()
    for column in ("start_s", "end_s", "score", "detection_score"):
        np.testing.assert_allclose(found[column], expected[column], atol=1e-3)


def test_over_a_model_of_anybody_whose_window_is_faded(examples, tmp_path):
    tiny_embedder(tmp_path)
    made = enrol(tmp_path / "run", "owl", examples, new=NewRun(tmp_path / "tiny.tflite", str(tmp_path / "tiny.yaml")))
    assert made.state.frozen.listen_s == CALL_S
    sound, _ = soundfile.read(examples[0].recording, dtype="float32")
    device = exported(made.path, RATE, tmp_path)
    same_events(made.path, device, sound, RATE)
    found = Model(device).detect(sound, RATE)
    middles = ((found["start_s"] + found["end_s"]) / 2).to_numpy()
    assert (np.abs(middles[:, None] - np.add(WHEN, CALL_S / 2)).min(axis=1) < 0.2).all()


def test_over_a_run_whose_network_hears_windows_as_long_as_a_call(examples, tmp_path, untrained_clip_run):
    inner = untrained_clip_run(
        tmp_path / "inner", ("owl", "wren"), [*TINY, "sample_rate=16000", "front_end.high_hz=8000"]
    )
    made = enrol(tmp_path / "run", "owl", examples, new=NewRun(inner))
    embedder = made.state.frozen.embedder
    assert CALL_S < embedder.samples / RATE < 0.5 and made.state.frozen.listen_s == CALL_S  # the shortest that it hears
    device = exported(made.path, RATE, tmp_path)
    sound, _ = soundfile.read(examples[0].recording, dtype="float32")
    same_events(made.path, device, sound, RATE)
