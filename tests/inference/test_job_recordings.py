"""What becomes of each recording of a job: names, faults, stops, channels, times and scores."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.audio.discover import shown_name
from ecotf.errors import ConfigError
from ecotf.inference import FORMATS, listen, output
from ecotf.inference.job import classify
from ecotf.inference.ledger import read_ledger
from ecotf.inference.writers import WRITERS

from .cheap_run import CLASSES, contents
from .job_tables import PLAIN, RATE, files, record, some, table

# Files


def test_names_that_differ_only_in_their_ending(run, tmp_path):
    """Their files stay apart, also where they come one job after the other."""
    night, both = tmp_path / "night", replace(PLAIN, formats=("raven",))
    names = ["a.wav", "a.flac", "a.WAV", "a.flac.wav"]
    for seed, name in enumerate(names):
        classify(run, [record(night / name, seed)], tmp_path / "out", both, resume=True)
    tables = {path.name: pd.read_csv(path, sep="\t") for path in (tmp_path / "out").glob("*.txt")}
    assert {name: set(found["Begin File"]) for name, found in tables.items()} == {
        "a.selections.txt": {"a.wav"},
        "a.flac.selections.txt": {"a.flac"},
        "a.WAV.selections.txt": {"a.WAV"},
        next(name for name in tables if "~" in name or name == "a.flac.wav.selections.txt"): {"a.flac.wav"},
    }


def test_recordings_elsewhere_do_not_meet(run, nights, tmp_path):
    for folder in (nights[0], record(tmp_path / "x" / "deep" / "0.wav").parent, nights[1]):
        classify(run, files(folder)[:1], tmp_path / "out", replace(PLAIN, formats=("audacity",)), resume=True)
    assert len(list((tmp_path / "out").rglob("*.labels.txt"))) == 3


@pytest.mark.parametrize(
    "name",
    [
        "for\udceat.wav", "夜间录音" * 20 + ".wav", "x" * 251 + ".wav", "é" * 125 + ".wav",
        "two\nlines.wav", 'quo"te.wav',
        "[red]x[].wav", "-n.wav", "a\tb.wav", " .wav", "=1+$x^{$.wav", "\x1b[31m.wav",
    ],
)  # fmt: skip
def test_whatever_a_file_is_called(run, tmp_path, name):
    night, every = tmp_path / "night", ("csv", "parquet", "raven", "audacity", "audiotagger", "published_csv", "aoef")
    for one in ("a.wav", "z.wav"):
        record(night / one)
    shutil.copy(night / "a.wav", night / name)
    for _ in range(2):
        result = classify(run, files(night), tmp_path / "out", replace(PLAIN, formats=every), resume=True)
        assert some(result) == {"done": 3}
    assert {row.recording for row in read_ledger(tmp_path / "out" / "ledger.csv")} == {
        shown_name(path) for path in files(night)
    }
    assert set(table(tmp_path / "out")["recording"]) == {shown_name(path) for path in files(night)}
    assert len(list((tmp_path / "out").glob("*.selections.txt"))) == 3


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (RuntimeError("a library's\n  trouble"), "RuntimeError: a library's trouble"),
        (RecursionError(), "RecursionError"),
        (UnicodeEncodeError("utf-8", "\udcea", 0, 1, "surrogates not allowed"), "UnicodeEncodeError: 'utf-8'"),
        (AssertionError("x" * 10_000), "AssertionError: xxx"),
    ],
)
def test_whatever_happens_inside_one_file_the_others_go_on(run, nights, tmp_path, monkeypatch, error, reason):
    really = listen.open_recording

    def fail(name, **options):
        if name.endswith("1.wav"):
            raise error
        return really(name, **options)

    monkeypatch.setattr(listen, "open_recording", fail)
    assert some(classify(run, files(nights[0]), tmp_path / "out")) == {"done": 2, "failed": 1}
    (row,) = (row for row in read_ledger(tmp_path / "out" / "ledger.csv") if row.status == "failed")
    assert row.recording == str(nights[0] / "1.wav") and row.reason.startswith(reason) and len(row.reason) < 400
    monkeypatch.undo()
    assert some(classify(run, files(nights[0]), tmp_path / "out", resume=True)) == {"done": 3}


def test_a_table_that_cannot_be_written_fails_one_file(run, nights, tmp_path):
    """A folder stands where the table of 1.wav belongs, once the job has begun."""
    out, both = tmp_path / "out", replace(PLAIN, formats=("csv", "raven"))

    def in_the_way(name, outcome):
        if name.endswith("0.wav"):
            (out / "1.selections.txt" / "x").mkdir(parents=True)

    result = classify(run, files(nights[0]), out, both, report=in_the_way)
    assert some(result) == {"done": 2, "failed": 1}
    assert str(nights[0] / "1.wav") not in set(table(out)["recording"])
    shutil.rmtree(out / "1.selections.txt")
    assert some(classify(run, files(nights[0]), out, both, resume=True)) == {"done": 3}
    assert len(list(out.glob("*.selections.txt"))) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_job_that_is_stopped_goes_on(run, nights, tmp_path, monkeypatch, error):
    really = listen.open_recording

    def stop(name, **options):
        if name.endswith("1.wav"):
            raise error
        return really(name, **options)

    monkeypatch.setattr(listen, "open_recording", stop)
    with pytest.raises(error):
        classify(run, files(nights[0]), tmp_path / "out")
    monkeypatch.undo()
    assert not (tmp_path / "out" / "detections.csv").exists()
    assert some(classify(run, files(nights[0]), tmp_path / "out", resume=True)) == {"done": 3}
    classify(run, files(nights[0]), tmp_path / "whole")
    pd.testing.assert_frame_equal(table(tmp_path / "out"), table(tmp_path / "whole"))


# Channels, times, statuses


def test_channels_have_their_numbers(run, tmp_path):
    both = record(tmp_path / "2026-06-21_22-15-00.wav", channels=2)
    for channel, numbers in {"mix": {""}, 1: {1}, 2: {2}, "each": {1, 2}}.items():
        classify(run, [both], tmp_path / str(channel), replace(PLAIN, channel=channel, formats=("csv", "raven")))
        assert set(table(tmp_path / str(channel))["channel"]) == numbers
        found = pd.read_csv(next((tmp_path / str(channel)).glob("*.selections.txt")), sep="\t")
        assert set(found["Channel"]) == {number or 1 for number in numbers}


def test_detections_are_dated(run, tmp_path):
    path = record(tmp_path / "2026-06-21_22-15-00.wav")
    classify(run, [path], tmp_path / "no zone")
    assert table(tmp_path / "no zone")["time"].tolist()[:2] == ["2026-06-21T22:15:00.000", "2026-06-21T22:15:00.100"]
    (row,) = read_ledger(tmp_path / "no zone" / "ledger.csv")
    assert row.status == "done" and "its time zone is not known" in row.reason
    classify(run, [path], tmp_path / "zone", replace(PLAIN, time_zone="Europe/Brussels"))
    assert table(tmp_path / "zone")["time"].tolist()[0] == "2026-06-21T22:15:00.000+02:00"
    (row,) = read_ledger(tmp_path / "zone" / "ledger.csv")
    assert row.reason == ""


def test_channels_that_cancel_are_no_broken_microphone(run, tmp_path):
    left = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    soundfile.write(tmp_path / "antiphase.wav", np.stack([left, -left], axis=1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "silent.wav", np.zeros((RATE, 2)), RATE)
    classify(run, [tmp_path / "antiphase.wav", tmp_path / "silent.wav"], tmp_path / "out")
    reasons = [row.reason for row in read_ledger(tmp_path / "out" / "ledger.csv")]
    assert reasons == [
        "the channels cancel each other; try --channel 1",
        "every sample is the same; a broken microphone or an empty channel",
    ]
    assert some(classify(run, [tmp_path / "antiphase.wav"], tmp_path / "one", replace(PLAIN, channel=1))) == {"done": 1}


def test_a_truncated_recording_is_salvaged_where_that_is_asked_for(run, tmp_path):
    night, out = tmp_path / "night", tmp_path / "out"
    for name in ("cut.wav", "good.wav"):
        record(night / name, seconds=1.0)
    os.truncate(night / "cut.wav", (night / "cut.wav").stat().st_size // 2)
    assert some(classify(run, files(night), out)) == {"done": 1, "corrupt": 1}
    result = classify(run, files(night), out, replace(PLAIN, salvage=True), resume=True)
    assert some(result) == {"done": 1, "salvaged": 1}
    (row,) = (row for row in read_ledger(out / "ledger.csv") if row.status == "salvaged")
    assert "0.5" in row.reason and "1.0" in row.reason and row.duration_s == pytest.approx(0.5, abs=0.01)
    assert len(table(out)) == 10 + 5 - (5 - row.n_detections)
    with pytest.raises(ConfigError, match="salvage is on in this folder's job, off now"):
        classify(run, files(night), out, resume=True)


def test_what_a_run_cannot_do_is_said_before_a_folder_is_made(run, nights, tmp_path):
    for options in (replace(PLAIN, gate=True), replace(PLAIN, formats=("excel",)), replace(PLAIN, formats=())):
        with pytest.raises(ConfigError):
            classify(run, files(nights[0]), tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_scores_of_segments_go_into_a_submission(run, nights, tmp_path):
    scored = replace(PLAIN, formats=("submission",))
    for part in (files(nights[0])[:1], files(nights[0])[1:]):
        classify(run, part, tmp_path / "out", scored, resume=True)
    found = pd.read_csv(tmp_path / "out" / "submission.csv")
    assert list(found.columns) == ["row_id", *CLASSES]
    assert found["row_id"].tolist() == [f"{n}_{round(0.1 * (k + 1), 1)}" for n in range(3) for k in range(5)]
    classify(run, files(nights[0]), tmp_path / "plain")
    with pytest.raises(ConfigError, match="submission cannot be added"):
        classify(run, files(nights[0]), tmp_path / "plain", scored, resume=True)
    with pytest.raises(ConfigError, match="would have the same row_id"):
        classify(run, files(nights[1]), tmp_path / "out", scored, resume=True)


def test_the_seconds_between_two_steps(run, nights, tmp_path, monkeypatch):
    """A kill behind the record and before the files or the ledger's row: the next job makes it good."""
    whole, every = tmp_path / "whole", replace(PLAIN, formats=("csv", "raven"))
    classify(run, files(nights[0]), whole, every)
    for number, step in enumerate(("write_one", "Ledger.add")):
        out = tmp_path / str(number)
        calls = []

        def killed(*arguments, really=None, calls=calls, **options):
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return really(*arguments, **options)

        with monkeypatch.context() as patch:
            owner, name = (output, step) if step == "write_one" else (output.Ledger, "add")
            really = getattr(owner, name)
            patch.setattr(owner, name, lambda *a, killed=killed, really=really, **o: killed(*a, really=really, **o))
            with pytest.raises(KeyboardInterrupt):
                classify(run, files(nights[0]), out, every)
        classify(run, files(nights[0]), out, every, resume=True)
        assert contents(out) == contents(whole)


def test_every_format_is_known_by_name():
    assert [*WRITERS, "submission", "dataset", "joined"] == list(FORMATS)
