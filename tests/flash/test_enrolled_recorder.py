"""A species enrolled on the desktop is found by the recorder; another one enrolled, and only the difference is sent."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import RECORDER
from convert_here import make_here
from ssh_login import at
from tiny_embedder import RATE, tiny_embedder

from ecotf.export.describe.bundle import write_bundle
from ecotf.export.export import ExportJob
from ecotf.export.settings import ExportSettings
from ecotf.model import Model
from ecotf.tasks.base import get_task
from ecotf.tasks.enrolment.enrol import NewRun, enrol
from ecotf.tasks.enrolment.examples import whole_clips

CALL_S = 0.5
CALLS = {"owl": (1001.3, (2.0, 4.5, 8.0)), "wren": (3001.3, (3.2, 6.1))}
SELFTEST = ["env", f"PYTHONPATH={RECORDER}", sys.executable, "-m", "ecotf_recorder", "selftest"]


def call(pitch: float, rng: np.random.Generator) -> np.ndarray:
    times = np.arange(round(CALL_S * RATE)) / RATE
    return rng.uniform(0.1, 0.3) * np.sin(2 * np.pi * pitch * times + rng.uniform(0, 6))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Examples of two birds, a quiet recording, and a night with both."""
    folder, rng = tmp_path_factory.mktemp("enrolled"), np.random.default_rng(7)
    tiny_embedder(folder)

    def write(name: str, sound: np.ndarray) -> None:
        soundfile.write(folder / name, sound + 0.02 * rng.normal(size=len(sound)), RATE, subtype="PCM_16")

    night = np.zeros(10 * RATE)
    for name, (pitch, starts) in CALLS.items():
        for number in range(3):
            write(f"{name}_{number}.wav", call(pitch, rng))
        for start in starts:
            night[round(start * RATE) :][: round(CALL_S * RATE)] += call(pitch, rng)
    write("night.wav", night)
    write("quiet.wav", np.zeros(10 * RATE))
    return folder


def exported(run: Path, folder: Path) -> Path:
    exportable = get_task("clips").exportable(get_task("clips").load(run))
    made = make_here(exportable, ExportSettings(rate=RATE), ExportJob(seconds=3.0))
    write_bundle(folder, made.model, made.values, {})
    return folder


def test_two_species_one_after_the_other(place, sshd, make_device, run_flash_device, tmp_path):
    recorder = make_device(selftest=SELFTEST)
    new = NewRun(place / "tiny.tflite", str(place / "tiny.yaml"))
    sent = []
    for name in CALLS:
        clips = whole_clips(place / f"{name}_{number}.wav" for number in range(3))
        run = enrol(place / "run", name, clips, [place / "quiet.wav"] if new else [], new).path
        new = None
        bundle = exported(run, tmp_path / name)
        status, output, complaint = run_flash_device(bundle, *at(sshd, recorder))
        assert (status, complaint) == (0, ""), output
        sent.append(re.search(r"sent (all )?(\d+) KB", output).groups())
        assert same_detections(place, run, recorder, tmp_path / f"found_{name}") == sorted([*CALLS][: len(sent)])
    (whole, size), (part, difference) = sent
    assert whole and not part and int(size) > 100 > 8 * int(difference)


def same_detections(place: Path, run: Path, recorder, output: Path) -> list[str]:
    """Compare the recorder's program with the desktop on the night; return the species."""
    model = recorder.state / "current" / "model.tflite"
    words = [sys.executable, "-m", "ecotf_recorder", "classify", model, place / "night.wav", "--output", output]
    subprocess.run(words, check=True, capture_output=True, env={"PYTHONPATH": str(RECORDER)})
    found = pd.read_csv(output / "detections.csv")
    sound, _ = soundfile.read(place / "night.wav", dtype="float32")
    expected = Model(get_task("clips").load(run)).detect(sound, RATE)
    assert found["label"].tolist() == expected["label"].tolist()
    for column, within in (("start_s", 0.002), ("end_s", 0.002), ("score", 1e-3)):
        np.testing.assert_allclose(found[column], expected[column], atol=within)
    for name in set(found["label"]):
        after = np.subtract.outer(found.loc[found["label"] == name, "start_s"].to_numpy(), CALLS[name][1])
        of_a_call = (after > -CALL_S / 2) & (after < CALL_S)
        assert of_a_call.any(axis=0).all() and of_a_call.any(axis=1).all(), "every call, and nothing else"
    return sorted(set(found["label"]))
