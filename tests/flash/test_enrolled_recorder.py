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
from enrolled_birds import CALL_S, PITCHES, RATE, enrolled, exported, tone, write, write_examples
from ssh_login import at
from tiny_embedder import tiny_embedder

from ecotf.model import Model
from ecotf.tasks.base import get_task

STARTS = {"owl": (2.0, 4.5, 8.0), "wren": (3.2, 6.1)}
SELFTEST = ["env", f"PYTHONPATH={RECORDER}", sys.executable, "-m", "ecotf_recorder", "selftest"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Examples of two birds, a quiet recording, and a night with both."""
    folder, rng = tmp_path_factory.mktemp("enrolled"), np.random.default_rng(7)
    tiny_embedder(folder)
    night = np.zeros(10 * RATE)
    for name, starts in STARTS.items():
        write_examples(folder, name, rng)
        for start in starts:
            night[round(start * RATE) :][: round(CALL_S * RATE)] += tone(PITCHES[name], rng)
    write(folder / "night.wav", night, rng)
    write(folder / "quiet.wav", np.zeros(10 * RATE), rng)
    return folder


def test_two_species_one_after_the_other(place, sshd, make_device, run_flash_device, tmp_path):
    recorder = make_device(selftest=SELFTEST)
    sent = []
    for name in STARTS:
        run = enrolled(place, name)
        bundle = exported(run, tmp_path / name)
        status, output, complaint = run_flash_device(bundle, *at(sshd, recorder))
        assert (status, complaint) == (0, ""), output
        sent.append(re.search(r"sent (all )?(\d+) KB", output).groups())
        assert same_detections(place, run, recorder, tmp_path / f"found_{name}") == sorted([*STARTS][: len(sent)])
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
        after = np.subtract.outer(found.loc[found["label"] == name, "start_s"].to_numpy(), STARTS[name])
        of_a_call = (after > -CALL_S / 2) & (after < CALL_S)
        assert of_a_call.any(axis=0).all() and of_a_call.any(axis=1).all(), "every call, and nothing else"
    return sorted(set(found["label"]))
