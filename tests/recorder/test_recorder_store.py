"""What is kept survives power cuts, full disks, and databases that are damaged or of an older recorder."""

from __future__ import annotations

import csv
import os
import sqlite3

import pytest
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.files import atomic_file
from ecotf_recorder.sources.events import Began, FileKey
from ecotf_recorder.store import notebook as notebook_module
from ecotf_recorder.store.database import Database
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.table import GrowingTable
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_stand_ins import NOON
from recorder_states import Hands, call, full, rows, written

from ecotf.inference.tables import read_csv


def test_table_and_database_hold_the_same(tmp_path):
    written(tmp_path)
    assert rows(tmp_path)[2] == ["night", "2.0", "2.004", "30000.0", "60000.0", "Myotis myotis", "0.9",
                                 "0.95", "2026-06-21T12:00:02.000+00:00", "synchronised"]  # fmt: skip
    database = sqlite3.connect(tmp_path / "detections.sqlite")
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    query = "SELECT d.start_s, d.time, s.recording, s.release FROM detections d JOIN stretches s ON s.id = d.stretch"
    assert database.execute(query).fetchall()[2] == (2.0, NOON + 2, "night", "release")
    assert Notebook(tmp_path, Hands().clock()).detections == 5


@settings(max_examples=40, deadline=None)
@given(lost=st.integers(1, 120), garbage=st.binary(max_size=60))
def test_a_table_cut_anywhere_is_whole_again(tmp_path_factory, lost, garbage):
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "t.csv"
    table = GrowingTable(path, ["a", "b"])
    table.append([[i, "x, y"] for i in range(20)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost] + garbage.replace(b"\n", b"") + b"\0" * 7)
    again = GrowingTable(path, ["a", "b"])
    left = path.read_bytes()
    assert left.endswith(b"\n")
    assert whole.startswith(left)
    assert len(left) > len(whole) - lost - 10 or lost > len(whole)
    assert again.repaired > 0
    again.append([["new", 1]])
    with open(path, newline="") as file:
        assert list(csv.reader(file))[-1] == ["new", "1"]


def test_lines_that_the_database_never_knew_are_cut_off(tmp_path):
    """The power went between the table and the database; the file will be read again, so nothing may be twice."""
    written(tmp_path)
    with open(tmp_path / "detections.csv", "ab") as file:
        file.write(b"night,99.0,99.1,1.0,2.0,x,0.5,\nnight,99.2,9")
    notebook = Notebook(tmp_path, Hands().clock())
    assert len(rows(tmp_path)) == 5 == notebook.detections


def test_a_table_that_somebody_took_away_begins_anew(tmp_path):
    written(tmp_path)
    notebook = Notebook(tmp_path, Hands().clock())
    (tmp_path / "detections.csv").rename(tmp_path / "taken.csv")
    notebook.add(notebook.begin("next", NOON, 1.0, "r"), "next", NOON, [call(1)])
    assert notebook.commit()
    assert [row[0] for row in rows(tmp_path)] == ["next"]
    assert notebook.detections == 6


def test_a_killed_process_keeps_what_was_committed(tmp_path):
    """SIGKILL in mid-transaction, as far as a process can play a power cut."""
    process = os.fork()
    if process == 0:
        try:
            notebook = Notebook(tmp_path, Hands().clock())
            stretch = notebook.begin("night", NOON, 100.0, "release")
            notebook.add(stretch, "night", NOON, [call(1)])
            notebook.commit()
            notebook.add(stretch, "night", NOON, [call(2)])
            notebook._found.table.append([["night", 2, 2.004, 1, 2, "x", 0.9, ""]])
            notebook.database.execute("INSERT INTO detections (label) VALUES ('half')")
        finally:  # whatever happens: a second pytest must not go on here
            os.kill(os.getpid(), 9)
    os.waitpid(process, 0)
    notebook = Notebook(tmp_path, Hands().clock())
    assert notebook.detections == 1
    assert len(rows(tmp_path)) == 1


def test_a_damaged_database_is_put_aside(tmp_path):
    written(tmp_path, 500)
    path = tmp_path / "detections.sqlite"
    content = bytearray(path.read_bytes())
    content[1000:] = b"\x55" * (len(content) - 1000)
    path.write_bytes(content)
    database = Database(path)
    assert database.damage
    assert database.execute("SELECT COUNT(*) FROM detections").fetchone() == (0,)
    assert len(list(tmp_path.glob("detections.sqlite.damaged-*"))) == 1
    database.close()


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_the_table_of_a_database_that_is_lost_goes_with_it(tmp_path, harm):
    """The ledger is lost, too: every file of a folder is read again, and would be in the table twice."""
    written(tmp_path, 500)
    path = tmp_path / "detections.sqlite"
    path.write_bytes(b"\x55" * path.stat().st_size) if harm == "damaged" else path.unlink()
    for _ in range(2):
        notebook = Notebook(tmp_path, Hands().clock())
        assert len(rows(tmp_path)) == 0 == notebook.detections
        notebook.close()
    assert (tmp_path / "detections.older-1.csv").read_text().count("\n") == 501
    assert len(list(tmp_path.glob("*.csv"))) == 5


def test_a_database_that_is_damaged_at_work_ends_the_process(tmp_path, monkeypatch):
    """The next start puts it aside; a process that goes on would keep nothing any more."""
    notebook = Notebook(tmp_path, Hands().clock())

    def damaged() -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(notebook.database, "commit", damaged)
    with pytest.raises(RecorderError, match=r"damaged .*; the next start begins a new one"):
        notebook.commit()


OLDER = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE detections (
    id INTEGER PRIMARY KEY, stretch INTEGER, recording TEXT, start_s REAL, end_s REAL, low_hz REAL, high_hz REAL,
    label TEXT, score REAL, time REAL);
INSERT INTO detections VALUES (1, 1, 'old', 2.0, 2.004, 30000.0, 60000.0, 'Myotis myotis', 0.9, NULL);
"""


def test_what_an_older_recorder_wrote_is_kept_and_goes_on(tmp_path):
    """Its database gets the column that it lacks; its table is put aside whole, and no power cut mixes the two."""
    header, row = "recording,start_s,end_s,low_hz,high_hz,label,score,time\n", "old,2.0,2.004,1.0,2.0,x,0.9,\n"
    (tmp_path / "detections.csv").write_text(header + row + "never acknowledged,3.0,3.1,1.0,2.0,x,0.9,\n")
    with sqlite3.connect(tmp_path / "detections.sqlite") as older:
        older.executescript(OLDER)
        older.execute("INSERT INTO facts VALUES ('csv_bytes', ?)", (len(header + row),))
    older.close()
    notebook = Notebook(tmp_path, Hands().clock())
    assert notebook.detections == 1
    assert (tmp_path / "detections.older-1.csv").read_text() == header + row
    assert notebook.database.fact("csv_bytes") == str((tmp_path / "detections.csv").stat().st_size)
    stretch = notebook.begin("new", NOON, 1.0, "r")
    notebook.add(stretch, "new", NOON, [call(1), call(2)])
    assert notebook.commit(), notebook.problem
    notebook.close()
    with open(tmp_path / "detections.csv", "a") as file:  # the power goes before the database knows of it
        file.write("new,9.0,9.1,1.0,2.0,x,0.5,0.5,\n")
    again = Notebook(tmp_path, Hands().clock())
    assert [row[0] for row in rows(tmp_path)] == ["new", "new"]
    query = "SELECT recording, score, detection_score FROM detections ORDER BY id"
    assert again.database.execute(query).fetchall() == [("old", 0.9, None), ("new", 0.9, 0.95), ("new", 0.9, 0.95)]
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == [
        "detections.csv", "detections.older-1.csv", "files.csv", "gaps.csv", "kept_out.csv",
    ]  # fmt: skip


def test_tables_with_other_columns_are_never_replaced(tmp_path):
    for number in (1, 2):
        (tmp_path / "t.csv").write_text(f"other {number}\nrow\n")
        table = GrowingTable(tmp_path / "t.csv", ["a", "b"])
        assert table.is_of_other_columns
        assert table.put_aside() == tmp_path / f"t.older-{number}.csv" and not table.is_of_other_columns
    assert (tmp_path / "t.older-1.csv").read_text() == "other 1\nrow\n"


def test_detections_wait_for_a_full_disk(tmp_path, monkeypatch):
    notebook = Notebook(tmp_path, Hands().clock())
    stretch = notebook.begin("night", NOON, 100.0, "release")
    notebook.add(stretch, "night", NOON, [call(1)])
    monkeypatch.setattr(notebook_module.GrowingTable, "append", full)
    assert not notebook.commit()
    assert notebook.problem == "disk full: detections wait in memory"
    monkeypatch.undo()
    notebook.add(stretch, "night", NOON, [call(2)])
    assert notebook.commit()
    assert notebook.problem == ""
    assert [row[1] for row in rows(tmp_path)] == ["1.0", "2.0"]
    assert notebook.database.execute("SELECT COUNT(*) FROM detections").fetchone() == (2,)


def test_a_file_that_failed_leaves_nothing(tmp_path):
    notebook = Notebook(tmp_path, Hands().clock())
    key = FileKey("a.wav", 10, 20)
    notebook.add(notebook.begin("a.wav", NOON, None, "r"), "a.wav", NOON, [call(1)])
    notebook.forget()
    notebook.settle(Began(name=key.path, key=key), "unsupported", "another rate", 0, 0, "r")
    notebook.commit()
    assert notebook.detections == 0 == len(rows(tmp_path))
    assert notebook.database.is_done(key, "r")
    assert not notebook.database.is_done(key, "another model")
    assert not notebook.database.is_done(key._replace(changed_ns=21), "r")


def test_the_desktop_reads_the_first_columns(tmp_path):
    """With the time and its quality taken off, it is the desktop's own table."""
    written(tmp_path, 2)
    path = tmp_path / "plain.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([list(notebook_module.COLUMNS), *(row[:-2] for row in rows(tmp_path))])
    assert [one.start_s for _, one in read_csv(path)] == [0.0, 1.0]


def test_a_locked_database_is_not_taken_for_a_damaged_one(tmp_path):
    written(tmp_path)
    with sqlite3.connect(tmp_path / "detections.sqlite", isolation_level=None) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RecorderError, match="cannot be opened"):
            Database(tmp_path / "detections.sqlite")
        other.execute("ROLLBACK")
    assert Notebook(tmp_path, Hands().clock()).detections == 5


def test_a_file_is_whole_or_absent(tmp_path):
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "a") as partial:
        partial.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
