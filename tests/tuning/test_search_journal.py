"""The trials file: damaged ones are set aside with their good trials kept, and those of another search are refused."""

from __future__ import annotations

import errno
import json
import os
import zlib
from pathlib import Path

import pytest
from cheap_search import IDENTITY, facts, run_here, search_in

from ecotf.errors import ConfigError, EcotfError
from ecotf.tuning.journal import Journal


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder with a finished search."""
    folder = tmp_path_factory.mktemp("whole")
    run_here(search_in(folder))
    return folder


def copied(whole: Path, folder: Path, content: bytes | None = None) -> Path:
    file = folder / "trials.jsonl"
    file.write_bytes((whole / "trials.jsonl").read_bytes() if content is None else content)
    return file


def test_what_is_written_is_read(whole):
    said: list[str] = []
    before = (whole / "trials.jsonl").read_bytes()
    journal = Journal.open(whole / "trials.jsonl", IDENTITY, said.append)
    assert [trial.number for trial in journal.trials] == list(range(18))
    assert said == [] and (whole / "trials.jsonl").read_bytes() == before
    for line, trial in zip(before.splitlines()[1:], journal.trials, strict=True):
        checksum, _, text = line.partition(b" ")
        assert int(checksum, 16) == zlib.crc32(text)
        assert json.loads(text) == json.loads(json.dumps(trial.as_json()))
        assert trial.random_state["bit_generator"] == "PCG64"


@pytest.mark.parametrize("line", [1, 5, 18])
@pytest.mark.parametrize("how", ["flipped bit", "torn", "foreign", "empty", "no trial"])
def test_a_damaged_line(whole, tmp_path, line, how):
    """The file is set aside as it is, the trials before the damage stay, and the search ends as if nothing had been."""
    lines = (whole / "trials.jsonl").read_bytes().splitlines(keepends=True)
    good = lines[line]
    text = b'{"number": 1}'
    bad = {
        "flipped bit": good[:60] + bytes([good[60] ^ 1]) + good[61:],
        "torn": good[: len(good) // 2],
        "foreign": b"the battery was changed on Tuesday\n",
        "empty": b"\n",
        "no trial": b"%08x %s\n" % (zlib.crc32(text), text),
    }[how]
    content = b"".join([*lines[:line], bad, *([] if how == "torn" else lines[line + 1 :])])
    file = copied(whole, tmp_path, content)
    said: list[str] = []
    search = search_in(tmp_path, log=said.append)
    assert len(search.trials) == line - 1
    (aside,) = tmp_path.glob("trials.jsonl.corrupt-*")
    assert aside.read_bytes() == content
    assert len(said) == 1 and f"line {line + 1} is damaged; the file was set aside as {aside.name}" in said[0]
    assert ("no trial before it could be kept" if line == 1 else f"the {line - 1} good trials before it") in said[0]
    assert file.read_bytes() == b"".join(lines[:line])
    resumed = run_here(search)
    expected = Journal.open(whole / "trials.jsonl", IDENTITY, said.append).trials
    assert [facts(trial) for trial in resumed.trials] == [facts(trial) for trial in expected]


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"\x80\x04K\x01."])
def test_a_file_that_holds_nothing_of_use_is_no_silent_restart(tmp_path, content, whole):
    copied(whole, tmp_path, content)
    said: list[str] = []
    assert Journal.open(tmp_path / "trials.jsonl", IDENTITY, said.append).trials == []
    assert "set aside" in said[0] and "no trial before it could be kept" in said[0]
    (aside,) = tmp_path.glob("*.corrupt-*")
    assert aside.read_bytes() == content


def test_two_damages_in_one_second_have_two_names(tmp_path, whole):
    for _ in range(2):
        copied(whole, tmp_path, b"garbage\n")
        Journal.open(tmp_path / "trials.jsonl", IDENTITY, lambda line: None)
    assert len(list(tmp_path.glob("*.corrupt-*"))) == 2


@pytest.mark.parametrize("part", ["recipe", "space"])
def test_trials_of_another_search_are_refused(tmp_path, whole, part):
    file = copied(whole, tmp_path)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=f"these trials are of another search, its {part} is not the same"):
        Journal.open(file, {**IDENTITY, part: "other"}, lambda line: None)
    assert file.read_bytes() == before


def test_another_searchs_damaged_trials_are_refused_before_they_are_touched(tmp_path, whole):
    file = copied(whole, tmp_path, (whole / "trials.jsonl").read_bytes()[:-10])
    with pytest.raises(ConfigError, match="of another search"):
        Journal.open(file, {**IDENTITY, "recipe": "other"}, lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.jsonl"]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, whole, monkeypatch):
    trials = Journal.open(whole / "trials.jsonl", IDENTITY, lambda line: None).trials
    journal = Journal.open(tmp_path / "trials.jsonl", IDENTITY, lambda line: None)
    journal.append(trials[0])
    before = journal.path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(EcotfError, match=r"disk full while writing .*trials\.jsonl"):
            journal.append(trials[1])
    assert journal.path.read_bytes() == before and len(journal.trials) == 1
    journal.append(trials[1])
    assert len(Journal.open(journal.path, IDENTITY, lambda line: None).trials) == 2


def test_random_numbers_of_another_numpy_are_noticed(tmp_path, whole):
    """The random state is kept with every trial; one that this search could not have had is no trial of it."""
    lines = (whole / "trials.jsonl").read_bytes().splitlines(keepends=True)
    values = json.loads(lines[3].partition(b" ")[2])
    values["random_state"]["state"]["state"] += 1
    text = json.dumps(values).encode()
    copied(whole, tmp_path, b"".join([*lines[:3], b"%08x %s\n" % (zlib.crc32(text), text)]))
    with pytest.raises(ConfigError, match="the random numbers of trial 2 are not those of this search"):
        search_in(tmp_path)
