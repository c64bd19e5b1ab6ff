import csv
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ecotf.errors import ConfigError, EcotfError
from ecotf.inference.ledger import STATUSES, Ledger, done_recordings, exit_status, read_ledger


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
        ({"silent": 2, "failed": 1}, 1),
        ({"short": 3}, 2),
        ({"corrupt": 1, "unsupported": 1}, 2),
        ({}, 2),
    ],
)
def test_exit_status(tmp_path, counts, status):
    with Ledger(tmp_path / "ledger.csv") as ledger:
        for name, number in counts.items():
            for index in range(number):
                ledger.add(f"{name}{index}.wav", name, "why")
        assert exit_status(ledger) == status
        assert exit_status(ledger.summary()) == status
        assert ledger.summary() == {**dict.fromkeys(STATUSES, 0), **counts}


def test_rows_are_on_disk_as_the_job_goes(tmp_path):
    path = tmp_path / "out" / "ledger.csv"
    with Ledger(path) as ledger:
        assert rows(path) == []
        ledger.add("a, b.wav", "done", duration_s=12.5, n_detections=3, seconds_used=0.25)
        ledger.add("c.wav", "corrupt", "the header\nsays 'x', found\t\"y\"")
        assert rows(path) == [
            {"recording": "a, b.wav", "status": "done", "reason": "", "duration_s": "12.5", "n_detections": "3",
             "seconds_used": "0.25"},
            {"recording": "c.wav", "status": "corrupt", "reason": "the header says 'x', found \"y\"", "duration_s": "",
             "n_detections": "0", "seconds_used": "0.0"},
        ]  # fmt: skip
    assert os.listdir(path.parent) == ["ledger.csv"]


def test_unknown_status(tmp_path):
    with Ledger(tmp_path / "ledger.csv") as ledger, pytest.raises(ValueError, match="'fine' is unknown; known: done"):
        ledger.add("a.wav", "fine")


def test_a_restart_skips_the_settled_and_has_one_row_for_each_file(tmp_path):
    path = tmp_path / "ledger.csv"
    with Ledger(path) as ledger:
        for status in STATUSES:
            ledger.add(f"{status}.wav", status)
    assert done_recordings(path) == {"done.wav", "silent.wav", "short.wav"}
    with Ledger(path, resume=True) as ledger:
        assert sum(ledger.summary().values()) == 3
        for status in ("corrupt", "unsupported", "failed"):
            ledger.add(f"{status}.wav", "done")
        assert exit_status(ledger) == 1  # the short one is still short
    assert sorted(row["recording"] for row in rows(path)) == sorted(f"{status}.wav" for status in STATUSES)


def test_without_resume_it_begins_anew(tmp_path):
    path = tmp_path / "ledger.csv"
    for _ in range(2):
        with Ledger(path) as ledger:
            ledger.add("a.wav", "done")
    assert len(rows(path)) == 1
    assert done_recordings(tmp_path / "none.csv") == set()


def test_a_killed_job(tmp_path):
    path = tmp_path / "ledger.csv"
    child = """
import os, signal, sys
from ecotf.inference.ledger import Ledger
ledger = Ledger(sys.argv[1])
ledger.add("a.wav", "done", n_detections=2)
ledger.add("b.wav", "failed", "x")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", child, str(path)], check=False).returncode == -signal.SIGKILL
    with open(path, "a") as file:
        file.write('c.wav,done,"half a re')
    assert done_recordings(path) == {"a.wav"}
    with Ledger(path, resume=True) as ledger:
        ledger.add("c.wav", "done")
    assert [row["recording"] for row in rows(path)] == ["a.wav", "c.wav"]
    assert read_ledger(path)[0].n_detections == 2


def test_a_full_disk_leaves_whole_rows(tmp_path, monkeypatch):
    path = tmp_path / "ledger.csv"
    with Ledger(path) as ledger:
        ledger.add("a.wav", "done")
        before = path.read_bytes()
        real_open = open

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *error):
                return None

            def write(self, content):
                with real_open(path, "ab") as file:
                    file.write(content[:5])
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("builtins.open", lambda *arguments, **keywords: Full())
        with pytest.raises(EcotfError, match=r"disk full while writing .*ledger\.csv"):
            ledger.add("b.wav", "done")
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert ledger.summary()["done"] == 1


def test_two_jobs_in_one_folder(tmp_path):
    path = tmp_path / "ledger.csv"
    with Ledger(path) as ledger:
        ledger.add("a.wav", "done")
        with pytest.raises(ConfigError, match=rf"another job is writing here \(process {os.getpid()}\)"):
            Ledger(path)
        assert len(rows(path)) == 1
    Ledger(path).close()


def test_names_that_are_not_utf8(tmp_path):
    path = tmp_path / "ledger.csv"
    name = os.fsdecode(b"for\xeat.wav")
    with Ledger(path) as ledger:
        ledger.add(name, "done")
    assert b"for\xeat.wav" in path.read_bytes()
    assert done_recordings(path) == {name}
