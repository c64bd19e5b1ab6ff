"""Detections over the border of two recordings: one row, where nothing says that sound is missing or doubtful."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ecotf.inference.formats import Call
from ecotf.inference.job import ClassifierOptions, classify
from ecotf.inference.joined import write_joined
from ecotf.inference.ledger import Entry
from ecotf.inference.records import Record

from .cheap_run import CheapRun


def call(start_s: float, end_s: float, label: str = "owl", channel: int | None = 1, **more: Any) -> Call:
    return Call(start_s, end_s, 400.0, 900.0, label, 0.5, 0.6, channel)._replace(**more)


def joined(folder: Path, *recordings: tuple[str, str, list[Call]], recorder: str = "7", seconds: float = 60.0) -> Any:
    """Rows of the table, of recordings with a name, when they began, and what is in them."""
    records, entries = [], []
    for name, began, calls in recordings:
        records.append(Record(name, name, "", "done", "", seconds, 1.0, 32000, calls))
        entries.append(Entry(name, "done", "", seconds, len(calls), 1.0, name, "", began, recorder))
    with write_joined(folder, records, reversed(entries)).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_event_over_three_recordings_is_one(tmp_path):
    rows = joined(
        tmp_path,
        ("c.wav", "2026-05-01T04:02:00+00:00", [call(0.0, 7.5, score=0.9, low_hz=300.0), call(20.0, 21.0)]),
        ("a.wav", "2026-05-01T06:00:00+02:00", [call(3.0, 4.0), call(58.0, 59.96), call(58.0, 60.0, "wren")]),
        ("b.wav", "2026-05-01T04:01:00+00:00", [call(0.03, 60.0, high_hz=950.0), call(0.2, 2.0, "wren")]),
    )
    assert [(row["recording"], float(row["start_s"]), float(row["end_s"]), row["recordings"]) for row in rows] == [
        ("c.wav", 20.0, 21.0, "1"), ("a.wav", 3.0, 4.0, "1"), ("a.wav", 58.0, 127.5, "3"), ("a.wav", 58.0, 60.0, "1"),
        ("b.wav", 0.2, 2.0, "1"),
    ]  # fmt: skip
    long = rows[2]
    assert (long["last_recording"], float(long["gap_s"]), float(long["score"])) == ("c.wav", 0.0, 0.9)
    assert (float(long["low_hz"]), float(long["high_hz"])) == (300.0, 950.0)
    assert rows[0]["last_recording"] == "c.wav" and rows[0]["gap_s"] == ""


@pytest.mark.parametrize(
    ("began", "channel", "recorder", "n"),
    [
        ("2026-05-01T04:01:00", 1, "7", 1),
        ("2026-05-01T04:01:01", 1, "7", 1),  # times in names are whole seconds
        ("2026-05-01T04:01:02", 1, "7", 2),
        ("2026-05-01T04:00:58", 1, "7", 2),
        ("2026-05-01T04:01:00+00:00", 1, "7", 2),  # a time with a zone and one without say nothing of each other
        ("", 1, "7", 2),
        ("2026-05-01T04:01:00", 2, "7", 2),
        ("2026-05-01T04:01:00", 1, "", 2),  # of unknown recorders, in two folders
    ],
)
def test_what_may_not_be_one_stays_two(tmp_path, began, channel, recorder, n):
    first = ("x/a.wav", "2026-05-01T04:00:00", [call(59.0, 60.0)])
    rows = joined(tmp_path, first, ("y/b.wav", began, [call(0.0, 1.0, channel=channel)]), recorder=recorder)
    assert len(rows) == n
    if began == "2026-05-01T04:01:01":
        assert float(rows[0]["gap_s"]) == 1.0 and float(rows[0]["end_s"]) == 62.0


def test_two_recorders_in_one_folder_are_not_mixed(tmp_path):
    """Nothing says which of two that begin together follows, even where only one of them has an event there."""
    recordings = [
        ("a1.wav", "2026-05-01T04:00:00", [call(59.0, 60.0)]), ("b1.wav", "2026-05-01T04:00:00", []),
        ("a2.wav", "2026-05-01T04:01:00", []), ("b2.wav", "2026-05-01T04:01:00", [call(0.0, 1.0)]),
    ]  # fmt: skip
    assert [row["recordings"] for row in joined(tmp_path, *recordings, recorder="")] == ["1", "1"]
    assert [row["recordings"] for row in joined(tmp_path, recordings[0], recordings[3], recorder="")] == ["2"]


def test_a_job_writes_it_and_adds_it_later(tmp_path):
    for second in (0, 4, 8):
        sound = (0.1234 * np.sin(2 * np.pi * 440 * np.arange(4 * 16000) / 16000)).astype(np.float32)
        soundfile.write(tmp_path / f"SITE_20260501_04000{second}.wav", sound, 16000, subtype="PCM_16")
    files, run = sorted(tmp_path.glob("*.wav")), CheapRun(tmp_path / "run")
    options = ClassifierOptions(formats=("csv",))
    classify(run, files, tmp_path / "out", options)
    assert not os.path.exists(tmp_path / "out/joined.csv")
    classify(run, files, tmp_path / "out", replace(options, formats=("csv", "joined")), resume=True)
    with (tmp_path / "out/joined.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "out/detections.csv").open(newline="") as file:
        plain = list(csv.DictReader(file))
    over = [int(row["recordings"]) for row in rows]
    assert max(over) > 1 and sum(over) == len(plain) > len(rows)
