"""Classifying recordings: streamed detections are those of the whole, whatever the channels, and every file is kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.audio.recording import open_recording
from ecotf.commands import run_classifier
from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.gate import FittedGate
from ecotf.detection.naming import UNNAMED_LABEL, name_calls
from ecotf.detection.recordings import candidates_of
from ecotf.errors import ConfigError
from ecotf.inference.job import ClassifierOptions, classify
from ecotf.pipelines.spectrogram_store import compute_spectrogram
from ecotf.tasks.calls.run import load_run
from ecotf.tasks.loading import load_runs

from .cheap_run import contents

ROOT = Path(__file__).parents[2]
RATE = 256_000
SPECIES = ("007", "NA")  # as a species may be called, to the dismay of a CSV reader
THRESHOLDS = {"007": 0.45, "NA": 0.55, CALL_LABEL: 0.5}
GATE = FittedGate(20.0, 200, 1, 400, 300)


@pytest.fixture(scope="module")
def run_path(make_loud_run, tmp_path_factory) -> Path:
    return make_loud_run(tmp_path_factory.mktemp("runs"), THRESHOLDS, GATE)


@pytest.fixture(scope="module")
def run(run_path) -> Any:
    return load_run(run_path)


def sound(seed: int, seconds: float = 1.3) -> np.ndarray:
    """Sweeps at irregular times in noise, as 16-bit samples."""
    rng = np.random.default_rng(seed)
    samples = 0.002 * rng.standard_normal(round(seconds * RATE))
    time = np.arange(round(0.005 * RATE)) / RATE
    for start in np.cumsum(rng.uniform(0.02, 0.09, 40)):
        at = round(start * RATE)
        if at + time.size < samples.size:
            sweep = np.sin(2 * np.pi * (rng.uniform(40e3, 90e3) * time - 2e6 * time**2)) * np.hanning(time.size)
            samples[at : at + time.size] += rng.choice([0.0005, 0.2]) * sweep
    return np.rint(samples * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", sound(number), RATE, subtype="PCM_16")
    return folder


def expected_of(run: Any, path: Path, **stated) -> pd.DataFrame:
    """The detections by way of the whole spectrogram, as training and evaluation find them."""
    stored = compute_spectrogram(open_recording(path, **stated), run.recipe.front_end)
    found = candidates_of(stored, run.detector, run.recipe.detection, run.recipe.peaks)
    return name_calls(found, THRESHOLDS)


def read(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "detections.csv", dtype={"label": str}, keep_default_na=False)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """To a microsecond, a tenth of a hertz and a ten-thousandth of score: that is what is written."""
    order = ["start_s", "label", "score"]
    found = found.sort_values(order, ignore_index=True)
    expected = expected.round({"start_s": 6, "score": 4}).sort_values(order, ignore_index=True)
    assert found["label"].tolist() == expected["label"].tolist()
    for column, least in {"start_s": 1e-6, "end_s": 1e-6, "low_hz": 0.1, "high_hz": 0.1, "score": 1e-4}.items():
        np.testing.assert_allclose(found[column], expected[column], rtol=0, atol=1.01 * least)


def classified(run_path: Path, output: Path, *arguments: str | Path) -> tuple[int, pd.DataFrame, pd.DataFrame]:
    """Run the command; returns exit status, detections and ledger."""
    command = ["--model", str(run_path), "--output", str(output), *map(str, arguments)]
    status = run_classifier.main(command)
    return status, read(output), pd.read_csv(output / "ledger.csv", keep_default_na=False)


def test_labels_come_back_as_they_were(run):
    assert run.detector.species == SPECIES
    assert run.thresholds == THRESHOLDS
    assert run.gate == GATE


def test_streamed_detections_are_those_of_the_whole(run, run_path, night, tmp_path):
    status, detections, ledger = classified(run_path, tmp_path, night)
    assert status == 0
    assert set(ledger["status"]) == {"done"}
    assert set(detections["label"]) == {*SPECIES, UNNAMED_LABEL}
    for number in range(3):
        path = night / f"{number}.wav"
        mine = detections[detections["recording"] == str(path)]
        assert_same(mine, expected_of(run, path))
        row = ledger[ledger["recording"] == str(path)].iloc[0]
        assert row["n_detections"] == len(mine) > 3
        assert float(row["duration_s"]) == 1.3


def test_the_gate_leaves_out_what_it_does_not_hear_and_says_so(run, run_path, tmp_path, capsys):
    """Half a second of calls in three seconds of noise: the calls stay, to the last digit."""
    samples = np.rint(65 * np.random.default_rng(1).standard_normal(3 * RATE)).astype(np.int16)
    samples[: RATE // 2] = sound(7, 0.5)
    soundfile.write(tmp_path / "quiet.wav", samples, RATE, subtype="PCM_16")
    _, plain, _ = classified(run_path, tmp_path / "plain", tmp_path / "quiet.wav")
    capsys.readouterr()
    status, gated, _ = classified(run_path, tmp_path / "gated", tmp_path / "quiet.wav", "--gate")
    said = " ".join(capsys.readouterr().out.split())
    assert status == 0
    assert 3 < len(gated) <= len(plain)
    columns = ["start_s", "end_s", "low_hz", "high_hz", "label", "score"]
    assert len(gated.merge(plain, on=columns)) == len(gated)
    kept, before = ((table["start_s"] < 0.5).sum() for table in (gated, plain))
    assert 3 < kept <= before
    result = classify(load_runs([run_path]), [tmp_path / "quiet.wav"], tmp_path / "again", ClassifierOptions(gate=True))
    watch = result.spent
    assert result.counts["done"] == 1
    assert 0.3 < watch.passed_s / watch.sound_s < 0.9
    assert f"gate: {watch.passed_s / watch.sound_s:.0%} of the sound passed over" in said
    assert f"{watch.patches} patches scored, {watch.skipped} skipped" in said


def test_a_run_without_a_gate(run_path, night, tmp_path):
    """Where nothing could be fitted; a gate that is asked for is missed in one line, before any work."""
    older = tmp_path / "older"
    shutil.copytree(run_path, older)
    (older / "thresholds.json").write_text(json.dumps({"thresholds": THRESHOLDS, "unfitted": []}))
    assert load_run(older).gate is None
    assert classified(older, tmp_path / "plain", night / "0.wav")[0] == 0
    with pytest.raises(ConfigError, match="older: the run has no fitted gate; leave --gate out, or train again"):
        classified(older, tmp_path / "gated", night / "0.wav", "--gate")
    assert not (tmp_path / "gated").exists()
    for damaged in ({"threshold_db": 3}, 7, {**vars(GATE), "calls": "many"}):
        (older / "thresholds.json").write_text(json.dumps({"thresholds": THRESHOLDS, "gate": damaged}))
        with pytest.raises(ConfigError, match=r"thresholds\.json: gate = .*; it holds the numbers calls, calls_lost"):
            load_run(older)


def test_channels(run, run_path, night, tmp_path):
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, np.stack([sound(0), sound(1)], axis=1), RATE, subtype="PCM_16")
    left, right = (expected_of(run, night / f"{number}.wav") for number in (0, 1))
    for channel, expected in {"1": left, "2": right, "each": pd.concat([left, right])}.items():
        status, detections, _ = classified(run_path, tmp_path / channel, stereo, "--channel", channel)
        assert status == 0
        assert_same(detections, expected)
        assert detections["start_s"].is_monotonic_increasing
    status, detections, ledger = classified(run_path, tmp_path / "3", stereo, "--channel", "3")
    assert (status, len(detections)) == (2, 0)
    assert ledger["reason"].tolist() == ["channel 3 was asked for, it has 2 channels"]
    with pytest.raises(
        ConfigError, match="--channel '0': allowed are mix, each, or a channel's number, counted from 1"
    ):
        classified(run_path, tmp_path / "0", stereo, "--channel", "0")


def test_a_slowed_recording_gives_real_seconds_and_hertz(run, run_path, night, tmp_path):
    slow = tmp_path / "slow.wav"
    soundfile.write(slow, sound(0), RATE // 10, subtype="PCM_16")
    status, detections, _ = classified(run_path, tmp_path / "out", slow, "--time-expansion", "10")
    assert status == 0
    assert_same(detections, expected_of(run, night / "0.wav"))
    status, _, ledger = classified(run_path, tmp_path / "no", slow)
    assert status == 2
    assert "needs a sample rate of at least 244000 Hz; this is 25600 Hz" in ledger["reason"].iloc[0]


def test_a_killed_command_goes_on(run_path, night, tmp_path):
    """A kill as soon as the first recording is settled, with a network and trees in the process."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    classified(run_path, whole, night, "--formats", "csv,raven")
    command = [sys.executable, ROOT / "scripts" / "run_classifier.py", "--model", run_path, night, "--output", killed]
    job = subprocess.Popen([*command, "--formats", "csv,raven", "--resume"], stdout=subprocess.PIPE, text=True)
    while job.poll() is None and not (killed / "ledger.csv").exists():
        time.sleep(0.01)
    while job.poll() is None and (killed / "ledger.csv").read_bytes().count(b"\n") <= 1:
        time.sleep(0.002)
    job.kill()
    job.communicate()
    classified(run_path, killed, night, "--formats", "csv,raven", "--resume")
    assert contents(killed) == contents(whole)


def test_thresholds_names_and_formats(run, run_path, night, tmp_path):
    path = night / "0.wav"
    _, found, _ = classified(run_path, tmp_path / "high", path, "--threshold", "1")
    assert len(found) == 0
    _, found, _ = classified(run_path, tmp_path / "named", path, "--named-only", "--formats", "csv, parquet,raven")
    expected = expected_of(run, path)
    assert_same(found, expected[expected["label"] != UNNAMED_LABEL])
    assert {p.name for p in (tmp_path / "named").iterdir()} == {
        "detections.csv", "detections.parquet", "ledger.csv", "job.json", "job.jsonl", "0.selections.txt",
    }  # fmt: skip
