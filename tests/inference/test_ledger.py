"""The ledger: one row for every file, on the disk as the job goes, read fast, and never another program's."""

import csv
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ecotf.append_only import csv_rows
from ecotf.errors import ConfigError, DiskFullError
from ecotf.inference.compact import key_of
from ecotf.inference.ledger import SETTLED, STATUSES, Entry, Ledger, exit_status, read_ledger


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"done": 3}, 0),
        ({"done": 2, "silent": 1}, 0),
        ({"silent": 1}, 0),
        ({"done": 2, "short": 1}, 1),
        ({"done": 2, "corrupt": 1}, 1),
        ({"done": 2, "unsupported": 1}, 1),
        ({"done": 2, "salvaged": 1}, 1),
        ({"salvaged": 1}, 1),
        ({"silent": 2, "failed": 1}, 1),
        ({"short": 3}, 2),
        ({"corrupt": 1, "unsupported": 1}, 2),
        ({}, 2),
    ],
)
def test_exit_status(counts, status):
    assert exit_status(counts) == exit_status({**dict.fromkeys(STATUSES, 0), **counts}) == status


def test_rows_are_on_disk_as_the_job_goes(tmp_path):
    path = tmp_path / "out" / "ledger.csv"
    ledger = Ledger(path)
    assert rows(path) == []
    ledger.add(Entry("a, b.wav", "done", "", 12.5, 3, 0.25, "/data/a, b.wav", "a, b"))
    ledger.add(Entry("c.wav", "corrupt", "the header\nsays 'x', found\t\"y\""))
    assert rows(path) == [
        {"recording": "a, b.wav", "status": "done", "reason": "", "duration_s": "12.5", "n_detections": "3",
         "seconds_used": "0.25", "path": "/data/a, b.wav", "files": "a, b", "began": "", "recorder": ""},
        {"recording": "c.wav", "status": "corrupt", "reason": "the header says 'x', found \"y\"", "duration_s": "",
         "n_detections": "0", "seconds_used": "0.0", "path": "", "files": "", "began": "", "recorder": ""},
    ]  # fmt: skip
    assert os.listdir(path.parent) == ["ledger.csv"]
    assert [entry.n_detections for entry in read_ledger(path)] == [3, 0]


def test_unknown_status(tmp_path):
    with pytest.raises(ValueError, match="'fine' is unknown; known: done"):
        Ledger(tmp_path / "ledger.csv").add(Entry("a.wav", "fine"))


def test_what_is_looked_at_again():
    assert {"done", "silent", "salvaged"} == SETTLED


def test_rows_are_found_and_forgotten(tmp_path):
    ledger = Ledger(tmp_path / "ledger.csv")
    for status in STATUSES:
        ledger.add(Entry(f"{status}.wav", status, path=f"/{status}.wav", files=f"place/{status}"))
    found = ledger.look_up({"/done.wav"}, {"failed.wav"}, {"place/silent"})
    assert found.counts == dict.fromkeys(STATUSES, 1)
    assert {row.status for row in found.rows} == {"done", "failed", "silent"}
    ledger.forget({"/failed.wav", "/corrupt.wav"})
    assert {row["status"] for row in rows(ledger.path)} == set(STATUSES) - {"failed", "corrupt"}
    assert ledger.look_up((), (), ()).rows == []


def test_a_killed_job(tmp_path):
    path = tmp_path / "ledger.csv"
    child = """
import os, signal, sys
from ecotf.inference.ledger import Entry, Ledger
ledger = Ledger(sys.argv[1])
ledger.add(Entry("a.wav", "done", n_detections=2))
ledger.add(Entry("b.wav", "failed", "x"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", child, str(path)], check=False).returncode == -signal.SIGKILL
    with open(path, "a") as file:
        file.write('c.wav,done,"half a re')
    ledger = Ledger(path)
    ledger.add(Entry("c.wav", "done"))
    assert [entry.recording for entry in read_ledger(path)] == ["a.wav", "b.wav", "c.wav"]


def test_a_full_disk_leaves_whole_rows(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.csv")
    ledger.add(Entry("a.wav", "done"))
    before = ledger.path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"disk full while writing .*ledger\.csv"):
        ledger.add(Entry("b.wav", "done"))
    assert ledger.path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        "recording,status,reason,duration_s,n_detections,seconds_used\n",
        "recording;status;reason;duration_s;n_detections;seconds_used;path;files\n",
        "recording,status,reason,duration_s,n_detections,seconds_used,path,files\na.wav;done;;1;2;3;x;y\n",
        "recording,status,reason,duration_s,n_detections,seconds_used,path,files\na.wav,fine,,1,2,3,x,y\n",
        "mine\n",
    ],
)
def test_what_another_program_made_of_it_is_refused(tmp_path, content):
    (tmp_path / "ledger.csv").write_text(content)
    with pytest.raises(ConfigError, match=r"ledger\.csv: .*another program changed it"):
        Ledger(tmp_path / "ledger.csv").look_up((), (), ())


def test_an_older_ledger_is_gone_on_with(tmp_path):
    path = tmp_path / "ledger.csv"
    older = "recording,status,reason,duration_s,n_detections,seconds_used,path,files\n"
    path.write_text(older + '"a, b.wav",done,,12.5,3,0.25,/d/a,a\nc.wav,corrupt,"cut')
    before = path.read_bytes()
    assert [entry.began for entry in read_ledger(path)] == [""]
    assert path.read_bytes() == before
    Ledger(path).add(Entry("d.wav", "done", began="2026-06-21T22:15:00.000+02:00", recorder="24F3"))
    assert [(entry.recording, entry.began, entry.recorder) for entry in read_ledger(path)] == [
        ("a, b.wav", "", ""), ("d.wav", "2026-06-21T22:15:00.000+02:00", "24F3"),
    ]  # fmt: skip


def test_many_rows_are_known_without_being_held(tmp_path):
    """Of each, some numbers."""
    with (tmp_path / "ledger.csv").open("wb") as file:
        file.write(csv_rows([Entry._fields]))
        for site in range(60):
            place = f"site{site}/20260621_{{:06d}}"
            names = [place.format(number) for number in range(1000)]
            file.write(csv_rows((f"/d/{n}.wav", "done", "", 10.0, 3, 0.1, f"/d/{n}.wav", n, "", "") for n in names))
    ledger = Ledger(tmp_path / "ledger.csv")
    found = ledger.look_up({"/d/site7/20260621_000777.wav"}, (), ())
    known = ledger.known()
    key = key_of("/d/site7/20260621_000777.wav")
    assert known.statuses.get(key) == 0 and known.owners.get(key_of("site7/20260621_000777")) == key
    assert known.statuses.get(key_of("/d/other.wav")) is None and known.counts["done"] == 60_000
    assert found.counts["done"] == 60_000 and [row.files for row in found.rows] == ["site7/20260621_000777"]
