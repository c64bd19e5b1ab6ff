"""One output folder, one question: what a job keeps, refuses and makes good, whatever comes in between."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.audio.discover import shown_name
from ecotf.errors import ConfigError
from ecotf.files import lock, unlock
from ecotf.inference import FORMATS, listen, output
from ecotf.inference.job import ClassifierOptions, JobResult, classify
from ecotf.inference.ledger import read_ledger
from ecotf.inference.writers import WRITERS
from ecotf.strangers import from_cell

from .cheap_run import CLASSES, CheapRun, contents

RATE = 32_000
PLAIN = ClassifierOptions()


def record(path: Path, seed: int = 0, seconds: float = 0.5, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels))
    soundfile.write(path, samples, RATE, format="FLAC" if path.suffix == ".flac" else "WAV", subtype="PCM_16")
    return path


@pytest.fixture
def run(tmp_path) -> CheapRun:
    return CheapRun(tmp_path / "model.bin")


@pytest.fixture
def nights(tmp_path) -> tuple[Path, Path]:
    for number in range(6):
        record(tmp_path / f"night{number % 2}" / f"{number // 2}.wav", number)
    return tmp_path / "night0", tmp_path / "night1"


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def table(folder: Path) -> pd.DataFrame:
    found = pd.read_csv(folder / "detections.csv", dtype={"label": str}, keep_default_na=False)
    return found.assign(label=found["label"].map(from_cell))


def some(result: JobResult) -> dict[str, int]:
    return {str(status): number for status, number in result.counts.items() if number}


# Jobs that add up


def test_two_folders_add_up(run, nights, tmp_path):
    out = tmp_path / "out"
    for night in nights:
        result = classify(run, files(night), out, PLAIN, resume=True)
        assert some(result) == {"done": 3}
    assert sorted(set(table(out)["recording"])) == sorted(str(path) for night in nights for path in files(night))
    assert len(list(read_ledger(out / "ledger.csv"))) == 6
    whole = classify(run, [*files(nights[0]), *files(nights[1])], tmp_path / "whole", PLAIN)
    pd.testing.assert_frame_equal(table(out), table(tmp_path / "whole"))
    assert {one.label for one in whole.species} == set(table(out)["label"]) == set(CLASSES)
    for one in whole.species:
        mine = table(out)[table(out)["label"] == one.label]
        assert (one.detections, one.recordings) == (len(mine), mine["recording"].nunique())
        assert one.highest == mine["score"].astype(float).max()


def test_the_same_file_by_another_way_is_done_once(run, nights, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(nights[0])
    relative = [path.relative_to(tmp_path) for path in files(nights[0])]
    classify(run, relative, out, PLAIN)
    before = table(out)
    for again in (files(nights[0]), files(tmp_path / "link"), [Path("night1/..", path) for path in relative]):
        looked_at: list[str] = []
        result = classify(run, again, out, PLAIN, resume=True, report=lambda name, _, seen=looked_at: seen.append(name))
        assert looked_at == [] and some(result) == {"done": 3}
        pd.testing.assert_frame_equal(table(out), before)
    assert len(list(read_ledger(out / "ledger.csv"))) == 3


def test_two_files_of_one_relative_name_are_told_apart(run, nights, tmp_path, monkeypatch):
    for night in nights:
        monkeypatch.chdir(night)
        classify(run, [Path("0.wav")], tmp_path / "out", replace(PLAIN, formats=("csv", "raven")), resume=True)
    names = [entry.recording for entry in read_ledger(tmp_path / "out" / "ledger.csv")]
    assert names == ["0.wav", str(nights[1] / "0.wav")] and set(table(tmp_path / "out")["recording"]) == set(names)
    assert len(list((tmp_path / "out").rglob("*.selections.txt"))) == 2


def test_a_file_that_is_named_twice_comes_once(run, nights, tmp_path):
    assert some(classify(run, [*files(nights[0]), *files(nights[0])], tmp_path / "out")) == {"done": 3}


def test_what_was_not_settled_is_looked_at_again_and_the_rest_is_kept(run, nights, tmp_path):
    out = tmp_path / "out"
    (nights[0] / "broken.wav").write_bytes(b"RIFF")
    (nights[1] / "broken.wav").write_bytes(b"RIFF")
    assert some(classify(run, files(nights[0]), out, PLAIN)) == {"done": 3, "corrupt": 1}
    assert some(classify(run, files(nights[1]), out, PLAIN, resume=True)) == {"done": 3, "corrupt": 1}
    record(nights[1] / "broken.wav", 9)
    assert some(classify(run, files(nights[1]), out, PLAIN, resume=True)) == {"done": 4}
    rows = list(read_ledger(out / "ledger.csv"))
    assert len(rows) == len({row.path for row in rows}) == 8
    assert [row.recording for row in rows if row.status == "corrupt"] == [str(nights[0] / "broken.wav")]


@pytest.mark.parametrize("first", ["csv", "raven", "parquet", "csv,audacity"])
def test_a_format_that_is_new_is_written_for_what_is_settled_too(run, nights, tmp_path, first):
    every = ("csv", "parquet", "raven", "audacity", "audiotagger", "published_csv", "aoef")
    out, whole = tmp_path / "out", tmp_path / "whole"
    classify(run, files(nights[0]), out, replace(PLAIN, formats=tuple(first.split(","))))
    result = classify(run, files(nights[1]), out, replace(PLAIN, formats=every), resume=True)
    assert sorted(result.formats) == sorted(every)
    classify(run, files(nights[0]), whole, replace(PLAIN, formats=every))
    classify(run, files(nights[1]), whole, PLAIN, resume=True)  # the formats of the folder stay
    mine, theirs = ({name: c for name, c in contents(f).items() if name != "job.json"} for f in (out, whole))
    assert mine == theirs


# Another question, a used folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": 0.3}, "threshold is not stated in this folder's job, 0.3 now"),
        ({"channel": "each"}, "channel is mix in this folder's job, each now"),
        ({"channel": 2, "unnamed": False}, "channel is mix in this folder's job, 2 now; unnamed is on"),
        ({"time_expansion": 10.0}, "time expansion is not stated in this folder's job, 10 now"),
        ({"time_zone": "Europe/Brussels"}, "time zone is not stated in this folder's job, Europe/Brussels now"),
    ],
)
def test_another_question_is_refused(run, nights, tmp_path, change, said):
    classify(run, files(nights[0]), tmp_path / "out", PLAIN)
    before = contents(tmp_path / "out")
    with pytest.raises(ConfigError, match=said):
        classify(run, files(nights[1]), tmp_path / "out", replace(PLAIN, **change), resume=True)
    assert contents(tmp_path / "out") == before


def test_another_model_is_refused_and_a_moved_one_is_not(run, nights, tmp_path):
    classify(run, files(nights[0]), tmp_path / "out", PLAIN)
    other = CheapRun(tmp_path / "other.bin")
    other.path.write_bytes(b"trained anew")
    with pytest.raises(
        ConfigError, match=r"the model is cheap \(.*model.bin, checksum \w{8}\) in this .*other.bin, ch"
    ):
        classify(other, files(nights[1]), tmp_path / "out", PLAIN, resume=True)
    shutil.move(run.path, tmp_path / "moved.bin")
    assert some(classify(CheapRun(tmp_path / "moved.bin"), files(nights[1]), tmp_path / "out", PLAIN, resume=True))


def test_a_used_folder_is_refused(run, nights, tmp_path):
    out = tmp_path / "out"
    classify(run, files(nights[0]), out, PLAIN)
    before = contents(out)
    with pytest.raises(ConfigError, match="out holds a job already: --resume continues it, --overwrite replaces it"):
        classify(run, files(nights[1]), out, PLAIN)
    assert contents(out) == before


@pytest.mark.parametrize("name", ["ledger.csv", "detections.csv", "detections.parquet", "classification_result.csv"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_a_file_of_some_job_is_refused(run, nights, tmp_path, name, resume):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"out holds {name} and no job.json"):
        classify(run, files(nights[1]), tmp_path / "out", PLAIN, resume=resume)
    assert files(tmp_path / "out") == [tmp_path / "out" / name]
    assert some(classify(run, files(nights[1]), tmp_path / "out", PLAIN, overwrite=True)) == {"done": 3}


def test_a_selection_table_of_the_user_is_never_written_over(run, nights, tmp_path):
    """Detections may go beside the recordings, where somebody has annotated by hand."""
    mine = nights[0] / "1.selections.txt"
    mine.write_text("a week of work")
    sound = [path for path in files(nights[0]) if path.suffix == ".wav"]
    both = replace(PLAIN, formats=("csv", "raven"))
    with pytest.raises(ConfigError, match=r"1\.selections\.txt is there already and not of this job"):
        classify(run, sound, nights[0], both)
    classify(run, sound, nights[0], PLAIN, resume=True)
    with pytest.raises(ConfigError, match=r"1\.selections\.txt is there already and not of this job"):
        classify(run, sound, nights[0], both, resume=True)
    assert mine.read_text() == "a week of work"


def test_overwriting_removes_the_older_job_and_nothing_else(run, nights, tmp_path):
    out = tmp_path / "out"
    classify(run, files(nights[0]), out, replace(PLAIN, formats=("csv", "raven", "parquet")))
    (out / "notes.txt").write_text("mine")
    classify(run, files(nights[1])[:1], out, replace(PLAIN, threshold=0.25), overwrite=True)
    assert sorted(path.name for path in files(out)) == [
        "detections.csv", "job.json", "job.jsonl", "ledger.csv", "notes.txt",
    ]  # fmt: skip
    assert [row.recording for row in read_ledger(out / "ledger.csv")] == [str(nights[1] / "0.wav")]


def test_overwriting_that_was_killed_is_finished_first(run, nights, tmp_path, monkeypatch):
    out = tmp_path / "out"
    classify(run, files(nights[0]), out, replace(PLAIN, formats=("csv", "raven")))
    with monkeypatch.context() as patch:

        def killed(self, *arguments, **options):
            if self.name == "detections.csv":
                raise KeyboardInterrupt
            os.unlink(self)

        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            classify(run, files(nights[1]), out, PLAIN, overwrite=True)
    with pytest.raises(ConfigError, match="holds a job already"):
        classify(run, files(nights[1]), out, PLAIN)
    assert some(classify(run, files(nights[1]), out, PLAIN, resume=True)) == {"done": 3}
    assert not list(out.glob("*.selections.txt")) and len(list(read_ledger(out / "ledger.csv"))) == 3


def test_two_ways_at_once_are_refused(run, nights, tmp_path):
    with pytest.raises(ConfigError, match="choose one"):
        classify(run, files(nights[0]), tmp_path / "out", PLAIN, resume=True, overwrite=True)


def test_two_jobs_at_the_same_time_are_refused(run, nights, tmp_path):
    (tmp_path / "out").mkdir()
    held = lock(tmp_path / "out" / ".job.lock", "")
    with pytest.raises(ConfigError, match=rf"out: another job is writing here \(process {os.getpid()}\)"):
        classify(run, files(nights[0]), tmp_path / "out", PLAIN)
    unlock(held)
    assert some(classify(run, files(nights[0]), tmp_path / "out", PLAIN)) == {"done": 3}
    assert not (tmp_path / "out" / ".job.lock").exists()


@pytest.mark.parametrize("name", ["ledger.csv", "job.jsonl", "job.json"])
@pytest.mark.parametrize("how", ["row out", "garbage", "gone"])
def test_a_job_that_somebody_changed_is_refused(run, nights, tmp_path, name, how):
    out = tmp_path / "out"
    classify(run, files(nights[0]), out, PLAIN)
    path = out / name
    lines = path.read_text().splitlines(keepends=True)
    if how == "gone":
        path.unlink()
    else:
        path.write_text("".join(lines[:1] + lines[3:] if how == "row out" else [*lines[:-1], "x;y;z\n"]))
    with pytest.raises(ConfigError, match=r"another program|damaged|and no job\.json|do not hold the same"):
        classify(run, files(nights[0]), out, PLAIN, resume=True)


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
