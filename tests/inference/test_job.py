"""One output folder, one question: what a job keeps, refuses and makes good, whatever comes in between."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ecotf.errors import ConfigError
from ecotf.files import lock, unlock
from ecotf.inference.job import classify
from ecotf.inference.ledger import read_ledger

from .cheap_run import CLASSES, CheapRun, contents
from .job_tables import PLAIN, files, record, some, table

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
