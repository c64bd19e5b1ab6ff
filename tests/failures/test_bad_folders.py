"""Run folders and outputs that are damaged, full or in use: one clear line, and nothing half-written stays."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from ecotf.commands import run_classifier

from .commands import RATE, cut, error_of, full_disk, left_over, outcome, sound

# Run folders


def test_a_run_folder_half_written(tmp_path, capsys):
    from ecotf.runs import RunFolder

    run = RunFolder.create(tmp_path, "bats/cnn8", steps=["rounds/0", "evaluation"])
    run.mark_done("rounds/0")
    run.close()
    soundfile.write(tmp_path / "a.wav", sound(0.1), RATE)
    arguments = (tmp_path / "a.wav", "--model", run.path, "--output", tmp_path / "out")
    said = error_of(capsys, run_classifier.main, *arguments)
    assert said == f"{run.path}: the run is half written (not done yet: evaluation); resume with --resume {run.path}"
    assert not (tmp_path / "out").exists()


def damage(model: Path, copy: Path, how: str) -> Path:
    shutil.copytree(model, copy)
    weights = next((copy / "model").iterdir())
    if how == "no weights":
        weights.unlink()
    elif how == "cut weights":
        cut(weights, 0.5)
    elif how == "no progress":
        (copy / "progress.json").unlink()
    elif how == "cut progress":
        cut(copy / "progress.json", 0.5)
    elif how == "cut recipe":
        cut(copy / "recipe.yaml", 0.5)
    elif how == "cut thresholds":
        cut(copy / "thresholds.json", 0.5)
    return copy


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no weights", "the run lacks model/"),
        ("cut weights", ".weights.h5: damaged"),
        ("no progress", "not a run folder (it has no progress.json)"),
        ("cut progress", "progress.json: damaged, the run cannot be used; train again"),
        ("cut recipe", "recipe.yaml: "),
        ("cut thresholds", "thresholds.json: not valid JSON"),
    ],
)
def test_a_damaged_run_folder(model, tmp_path, capsys, how, said):
    run = damage(model, tmp_path / "run", how)
    soundfile.write(tmp_path / "a.wav", sound(0.1), RATE)
    arguments = (tmp_path / "a.wav", "--model", run, "--output", tmp_path / "out")
    assert said in error_of(capsys, run_classifier.main, *arguments)
    assert not (tmp_path / "out").exists()


# A full disk


def test_a_full_disk_while_classifying(model, tmp_path, capsys, monkeypatch):
    soundfile.write(tmp_path / "a.wav", sound(), RATE)
    arguments = (tmp_path / "a.wav", "--model", model, "--output", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        assert error_of(capsys, run_classifier.main, *arguments).startswith("disk full while writing ")
    assert not list((tmp_path / "out").glob("det*")) and left_over(tmp_path) == []
    assert outcome(capsys, run_classifier.main, *arguments)[0] == 0


def test_a_disk_that_fills_up_in_the_middle(model, tmp_path, capsys, monkeypatch):
    """What was finished is kept, and the same command with --resume finishes the rest."""
    from ecotf.inference import job
    from ecotf.inference.records import Records

    monkeypatch.setattr(job, "_LONG_S", 0.0)  # results are written one by one
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", sound(0.2, seed=number), RATE)
    add, done = Records.add, []

    def fill_up(self, *records):
        if len(done) == 1:
            monkeypatch.setattr(os, "fsync", full_disk)
        add(self, *records)
        done.extend(records)

    arguments = (tmp_path, "--model", model, "--output", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(Records, "add", fill_up)
        said = error_of(capsys, run_classifier.main, *arguments)
    monkeypatch.undo()
    assert said.startswith("disk full while writing ")
    assert not (tmp_path / "out" / "detections.csv").exists()
    assert pd.read_csv(tmp_path / "out" / "ledger.csv")["status"].tolist() == ["done"]
    assert outcome(capsys, run_classifier.main, *arguments, "--resume")[0] == 0
    assert pd.read_csv(tmp_path / "out" / "ledger.csv")["status"].tolist() == ["done"] * 3
    assert (tmp_path / "out" / "detections.csv").exists() and left_over(tmp_path) == []


def test_after_ctrl_c_the_last_line_is_the_command_that_goes_on(model, tmp_path, capsys, monkeypatch):
    """A shell takes it as it stands, also where names have blanks, quotation marks and bytes that are not UTF-8."""
    from ecotf.inference import listen

    night = tmp_path / "my night's \udcea"
    night.mkdir()
    for number in range(2):
        with (night / f"{number}.wav").open("wb") as file:
            soundfile.write(file, sound(0.2, seed=number), RATE, format="WAV")
    really = listen.open_recording

    def stop(name, **options):
        if name.endswith("1.wav"):
            raise KeyboardInterrupt
        return really(name, **options)

    monkeypatch.setattr(listen, "open_recording", stop)
    arguments = (night, "--model", model, "--output", tmp_path / "out", "--overwrite")
    status, _, err = outcome(capsys, run_classifier.main, *arguments)
    monkeypatch.undo()
    *_, stopped, command = err.splitlines()
    assert status == 130 and stopped == "stopped; what was finished is kept. To continue:"
    assert "--overwrite" not in command and command.endswith(" --resume")
    root = Path(__file__).parents[2]
    command = command.replace("ecotf ", f"{sys.executable} -m ecotf ", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recordings: 2 done" in done.stdout
    assert len(pd.read_csv(tmp_path / "out" / "ledger.csv")) == 2


def test_a_used_folder(model, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", sound(0.1), RATE)
    arguments = (tmp_path / "a.wav", "--model", model, "--output", tmp_path / "out")
    assert outcome(capsys, run_classifier.main, *arguments)[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    said = error_of(capsys, run_classifier.main, *arguments)
    assert said == f"{tmp_path / 'out'} holds a job already: --resume continues it, --overwrite replaces it"
    said = error_of(capsys, run_classifier.main, *arguments, "--resume", "--threshold", "0.3")
    assert "threshold is not stated in this folder's job, 0.3 now" in said
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert "choose one" in error_of(capsys, run_classifier.main, *arguments, "--resume", "--overwrite")
    assert outcome(capsys, run_classifier.main, *arguments, "--resume")[0] == 0
    assert outcome(capsys, run_classifier.main, *arguments, "--overwrite", "--threshold", "0.3")[0] == 0


def test_an_output_that_is_a_file(model, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", sound(0.1), RATE)
    (tmp_path / "out").write_text("mine")
    arguments = (tmp_path / "a.wav", "--model", model, "--output", tmp_path / "out")
    assert "cannot be written" in error_of(capsys, run_classifier.main, *arguments)
    assert (tmp_path / "out").read_text() == "mine"
