"""Recipes and manifests that cannot be: one clear line each, and no run is begun."""

import os
import re

import pandas as pd
import pytest
import soundfile

from ecotf.commands import run_training

from .commands import call, error_of, full_disk, left_over, outcome, sound, training

# Recipes


@pytest.mark.parametrize(
    ("recipe", "override", "said"),
    [
        ("bats/feild", None, "unknown recipe 'bats/feild'; known: bats/cnn2, "),
        ("bats/feild", None, "did you mean bats/field?"),
        ("mine.yaml", None, "mine.yaml: cannot be read (No such file or directory)"),
        ("bats/cnn8", "sead=3", "unknown key 'sead'; known keys here: "),
        ("bats/cnn8", "sead=3", "did you mean 'seed'?"),
        ("bats/cnn8", "networks.0.backbone.filtres=3", "unknown key 'networks.0.backbone.filtres'"),
        ("bats/cnn8", "networks.1.name=calls", "'1' is not an index from 0 to 0"),
        ("bats/cnn8", "seed=three", "seed = 'three': input should be a valid integer"),
        ("bats/cnn8", "stages.0.epochs=-1", "stages.0.epochs = -1: input should be greater than or equal to 1"),
        ("bats/cnn8", "networks.0.backbone.name=vgg", "name 'vgg' is unknown; allowed: "),
        ("bats/cnn8", "front_end.window_s=.nan", "front_end.window_s = nan: "),
        ("bats/cnn8", "seed", "override 'seed': expected key=value"),
        ("bats/cnn8", "front_end.low_hz=200000", "low_hz"),
        ("bats/cnn8", "patches.width_s=0.001", "patches.width_s = 0.001 is shorter than one spectrum"),
    ],
)
def test_a_recipe_that_cannot_be(annotated, tmp_path, capsys, recipe, override, said):
    overrides = [override] if override else []
    arguments = ("--recipe", recipe, "--data", annotated, "--output", tmp_path / "runs", *overrides)
    assert said in error_of(capsys, run_training.main, *arguments)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: [1\n", "not valid YAML at line "),
        ("- seed\n", "a recipe is a mapping of keys to values"),
        ("seed: 3\n", "is missing"),
        ("", "a recipe is a mapping of keys to values"),
    ],
)
def test_a_recipe_file_that_is_none(annotated, tmp_path, capsys, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    arguments = ("--recipe", tmp_path / "mine.yaml", "--data", annotated, "--output", tmp_path / "runs")
    assert said in error_of(capsys, run_training.main, *arguments)
    assert not (tmp_path / "runs").exists()


# Manifests


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (call("gone.wav", 0, 0.1), "1 of 5 recordings are missing; the first is "),
        (call("0.wav", -0.1, 0.1), "start_s is -0.1 (row 22); a time of at least 0 s is needed"),
        (call("0.wav", 0.3, 0.1), "start_s is 0.3 and end_s is 0.1 (row 22); an annotation must not end before it st"),
        (call("0.wav", "noon", 0.1), "start_s is 'noon' (row 22); a number is needed"),
        (call("0.wav", "0,1", 0.1), "a number with a decimal point is needed"),
        (call("", 0, 0.1), "recording is empty (row 22); the path of an audio file is needed"),
        (
            {**call("0.wav", 0, 0.1), "split": "training"},
            "split is 'training' (row 22); allowed are train, valid, test",
        ),
        ({**call("0.wav", 0, 0.1), "low_hz": 9, "high_hz": 8}, "low_hz is 9 and high_hz is 8 (row 22)"),
    ],
)
def test_a_manifest_with_a_bad_row(annotated, tmp_path, capsys, row, said):
    table = pd.concat([pd.read_csv(annotated), pd.DataFrame([row])])
    table.to_csv(annotated, index=False)
    assert said in error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "the file is empty"),
        (b"recording,start_s\na.wav,0\n", "column 'end_s' is missing"),
        (b"\x00\x01\x02", "not a text file"),
        (b"recording,start_s,end_s,label\n", "names no recording"),
    ],
)
def test_a_manifest_that_is_none(tmp_path, capsys, content, said):
    manifest = tmp_path / "manifest.csv"
    if content is not None:
        manifest.write_bytes(content)
    assert said in error_of(capsys, run_training.main, *training(manifest, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_an_annotation_past_the_end(annotated, tmp_path, capsys):
    table = pd.concat([pd.read_csv(annotated), pd.DataFrame([call("0.wav", 3.1, 3.2)])])
    table.to_csv(annotated, index=False)
    said = error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert re.search(
        r"^1 annotation reaches past the end of the recording; the first: '\S*0.wav' has 3.1 to 3.2 s", said
    )
    assert left_over(tmp_path) == []


def test_a_band_above_nyquist(annotated, tmp_path, capsys):
    """A training on recordings that cannot carry the band names both rates, and does not guess."""
    for number in range(4):
        soundfile.write(annotated.parent / f"{number}.wav", sound(1.0, 96_000), 96_000, subtype="PCM_16")
    said = error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert "none of the 4 recordings can be read" in said
    assert "the band up to 116300 Hz needs a sample rate of at least 232600 Hz; this is 96000 Hz" in said
    assert left_over(tmp_path) == []


def test_too_few_recordings_to_split(annotated, tmp_path, capsys):
    rows = pd.read_csv(annotated)
    rows[rows["recording"] == "0.wav"].to_csv(annotated, index=False)
    assert "cannot be split" in error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))


def test_nothing_to_learn(annotated, tmp_path, capsys):
    pd.read_csv(annotated).assign(label="noise").to_csv(annotated, index=False)
    said = error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert "the training recordings hold no annotated call" in said


def test_a_class_with_one_example_and_a_broken_recording(annotated, uncompiled, tmp_path, capsys):
    """Both are said, and the training goes on to its end."""
    (annotated.parent / "broken.wav").write_bytes(b"RIFF")
    rows = [call("broken.wav", 0, 0.1), call("0.wav", 0.2, 0.204, "Barbastella")]
    table = pd.concat([pd.read_csv(annotated), pd.DataFrame(rows)])
    sides = {"0.wav": "train", "1.wav": "train", "2.wav": "valid", "3.wav": "test", "broken.wav": "train"}
    table.assign(split=table["recording"].map(sides)).to_csv(annotated, index=False)
    settings = ("stages.0.epochs=1", "mining.rounds=0", "evaluation.bootstrap=10")
    status, out, err = outcome(capsys, run_training.main, *training(annotated, tmp_path / "runs", *settings))
    assert status == 0 and err == ""
    assert "Barbastella: only one annotated call in the training recordings" in out
    assert re.search(r"^left out: \S*broken.wav: is not a sound file", out, re.MULTILINE)
    (run,) = (tmp_path / "runs" / "bats" / "cnn8").iterdir()
    assert pd.read_csv(run / "labels.csv")["label"].tolist() == ["Barbastella", "Pipistrellus"]
    (problem,) = pd.read_csv(run / "problems.csv").itertuples()
    assert problem.recording.endswith("broken.wav") and problem.status == "corrupt"
    assert left_over(tmp_path) == []


def test_a_full_disk_while_training(annotated, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "fsync", full_disk)
    said = error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert said.startswith("disk full while writing ")
    assert left_over(tmp_path) == []
