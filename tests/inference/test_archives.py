"""Archives that change while they are read: a disk that is gone, a folder that grows; and how far a job is."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.audio.discover import Recordings
from ecotf.commands import run_classifier
from ecotf.inference import compact
from ecotf.inference.disks import Disks
from ecotf.inference.engine import EngineOptions
from ecotf.inference.job import ClassifierOptions, classify
from ecotf.inference.ledger import read_ledger
from ecotf.inference.outcome import Outcome
from ecotf.inference.progress import Progress

from .cheap_run import CheapRun, CheapSource, contents

PLAIN = ClassifierOptions()


def write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(4800), 16_000, subtype="PCM_16")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_disk_that_is_gone_for_a_while_is_waited_for(tmp_path, workers, monkeypatch):
    monkeypatch.setattr("ecotf.inference.job._LONG_S", 0.0)  # each result is told at once
    disk, away = tmp_path / "disk", tmp_path / "away"
    for number in range(12):
        write(disk / f"site{number % 3}" / f"{number}.wav", number)
    model = tmp_path / "model.bin"
    classify(CheapRun(model), sorted(disk.rglob("*.wav")), tmp_path / "whole")
    said: list[str] = []

    def log(line: str) -> None:
        said.append(line)
        if line.endswith("waiting for it"):
            threading.Timer(0.2, lambda: away.rename(disk)).start()

    def report(name: str, outcome: Outcome) -> None:
        if not said and disk.exists():
            disk.rename(away)

    disks = Disks([str(disk)], log, every_s=0.02)
    engine, source = EngineOptions(workers), CheapSource(model, 0.02)
    recordings = sorted(disk.rglob("*.wav"))
    result = classify(
        source.load(), recordings, tmp_path / "out", PLAIN, report=report, engine=engine, source=source, disks=disks
    )
    assert result.counts["done"] == 12 and sum(result.counts.values()) == 12
    assert said == [f"{disk}: is gone; waiting for it", f"{disk}: is back"]
    mine, theirs = ({n: sorted(c.splitlines()) for n, c in contents(tmp_path / f).items()} for f in ("out", "whole"))
    assert mine["detections.csv"] == theirs["detections.csv"]


def test_a_folder_that_grows_is_listened_to_as_it_grows(tmp_path, monkeypatch):
    """Only what is new is heard; what is still being written waits."""
    monkeypatch.setattr(run_classifier, "_STILL_S", 0.3)
    monkeypatch.setattr("ecotf.inference.run_source.RunSource.load", lambda self: CheapRun(tmp_path / "model.bin"))
    write(tmp_path / "night" / "0.wav", 0)
    os.utime(tmp_path / "night" / "0.wav", (0, 0))
    rounds: list[float] = []

    def sleep(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 1:
            write(tmp_path / "night" / "1.wav", 1)  # too new in the second round
        elif len(rounds) == 2:
            assert len(list(read_ledger(tmp_path / "out" / "ledger.csv"))) == 1
            os.utime(tmp_path / "night" / "1.wav", (1, 1))
        elif len(rounds) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    command = ["--model", "RUN", str(tmp_path / "night"), "--output", str(tmp_path / "out"), "--watch", "60"]
    assert run_classifier.main(command) == 130
    assert [Path(row.recording).name for row in read_ledger(tmp_path / "out" / "ledger.csv")] == ["0.wav", "1.wav"]


def test_recordings_are_found_without_being_held(tmp_path):
    for number in range(4):
        write(tmp_path / f"{number % 2}" / f"{number}.wav", number)
    (tmp_path / "link.wav").symlink_to(tmp_path / "0" / "0.wav")
    (tmp_path / "notes.txt").touch()
    found = Recordings([tmp_path, tmp_path / "1", tmp_path / "gone"])
    assert len(found) == 4 and len(list(found)) == 4 and found.passed_over_text == "1 file passed over: .txt"
    assert [argument for argument, _ in found.problems] == [str(tmp_path / "gone")]
    before = found.fingerprint()
    write(tmp_path / "1" / "more.wav", 9)
    assert found.fingerprint() != before and len(found) == 5


def test_a_million_entries_take_little(monkeypatch):
    monkeypatch.setattr(compact, "_FRESH", 100)
    rng, known, plain = np.random.default_rng(0), compact.CompactMap(), {}
    for key, value in rng.integers(-500, 500, (3000, 2)).tolist():
        if value < -400:
            known.drop(key)
            plain.pop(key, None)
        else:
            known.set(key, value)
            plain[key] = value
    twin = known.copy()
    known.set(1000, 1)
    assert [twin.get(key) for key in range(-500, 1001)] == [plain.get(key) for key in range(-500, 1001)]


def test_how_far_a_job_is():
    clock = iter([0.0, 120.0, 240.0])
    progress = Progress(4, clock=lambda: next(clock))
    for status, duration_s in (("done", 1800.0), ("corrupt", float("nan"))):
        progress.take(Outcome(status, duration_s=duration_s))
    line = progress.line()
    assert line.startswith("2 of 4 files, 0.5 h of sound done, about 0.5 h left; 0.2 h a minute, end about 20")
    assert line.endswith("; 1 file could not be used")
