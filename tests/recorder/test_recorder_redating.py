"""What was heard before the clock was set gets its time, a few rows at a time, whatever happens meanwhile."""

from __future__ import annotations

import csv
import io
import sqlite3
from datetime import datetime
from types import SimpleNamespace

import pytest
from ecotf_recorder.store import redating
from ecotf_recorder.store import table as table_module
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.strangers import from_cell
from ecotf_recorder.times.clock import Clock
from recorder_stand_ins import NOON, right_since_2020
from recorder_states import Hands, call, rows


def test_what_was_heard_before_the_clock_was_set_gets_its_time(tmp_path):
    hands = Hands(wall=50.0)
    clock = hands.clock()
    notebook = Notebook(tmp_path, clock)
    name = clock.name(100.0)
    stretch = notebook.begin(name, clock.at(100.0), 100.0, "r")
    notebook.add(stretch, name, clock.at(100.0), [call(0.5), call(1.5)], clock.said)
    notebook.gap(103.0, 4.0, "unplugged")
    other = notebook.begin("unset-clock-otherboot-7.000", None, 7.0, "r")
    notebook.add(other, "unset-clock-otherboot-7.000", None, [call(3)], clock.said)
    notebook.commit()
    notebook.database.execute("UPDATE stretches SET boot = 'other' WHERE id = ?", (other,))
    notebook.database.commit()
    assert rows(tmp_path)[0][0] == "unset-clock-abcd1234-100.000"
    assert rows(tmp_path)[0][-2:] == ["", "not set"]
    hands.wall = NOON
    clock.check()
    assert notebook.needs_dating
    list(notebook.dating())
    assert not notebook.needs_dating
    found = rows(tmp_path)
    assert [row[0] for row in found] == ["20260621T120000.000Z"] * 2 + ["unset-clock-otherboot-7.000"]
    assert [row[-2] for row in found] == ["2026-06-21T12:00:00.500+00:00", "2026-06-21T12:00:01.500+00:00", ""]
    assert [row[-1] for row in found] == ["redated", "redated", "not set"]
    times = notebook.database.execute("SELECT time FROM detections ORDER BY id").fetchall()
    assert times == [(NOON + 0.5,), (NOON + 1.5,), (None,)]
    assert notebook.database.execute("SELECT began FROM gaps").fetchone() == (NOON + 3,)
    assert (tmp_path / "gaps.csv").read_text().splitlines()[1:] == [
        "2026-06-21T12:00:03.000+00:00,4.0,unplugged,redated"
    ]
    notebook.close()
    assert Notebook(tmp_path, clock).detections == 3
    assert len(rows(tmp_path)) == 3


@pytest.mark.parametrize("killed_at", [None, 1, 5, 6, 11])
def test_many_rows_get_their_time_in_small_steps(tmp_path, monkeypatch, killed_at):
    """Sound is listened to meanwhile; a power cut at any step loses, doubles and forgets nothing."""
    monkeypatch.setattr(table_module, "_ROWS_AT_A_TIME", 100)
    monkeypatch.setattr(redating, "_ROWS_AT_A_TIME", 100)
    hands = Hands(wall=50.0)
    clock = hands.clock()
    notebook = Notebook(tmp_path, clock)
    stretch = notebook.begin(clock.name(100.0), None, 100.0, "r")
    notebook.add(stretch, clock.name(100.0), None, [call(i) for i in range(450)], clock.said)
    notebook.gap(90.0, 2.0, "unplugged")
    notebook.commit()
    hands.wall = NOON
    clock.check()
    turns = 0
    for turns, _ in enumerate(dating := notebook.dating(), 1):
        notebook.add(stretch, clock.name(100.0), clock.at(100.0), [call(1000 + turns)], clock.said)
        assert notebook.commit()
        if turns == killed_at:
            dating.close()
            notebook.database.close()
            notebook = Notebook(tmp_path, Clock(lambda: 5.0, lambda: 9.0, "later", right_since_2020))
            assert notebook.needs_dating
            list(notebook.dating())
            break
    assert turns == (killed_at or 11)
    assert not notebook.needs_dating
    notebook.close()
    found = rows(tmp_path)
    times = [pytest.approx(NOON + float(row[1]), abs=0.001) for row in found]
    assert {row[0] for row in found} == {"20260621T120000.000Z"}
    assert [row[1] for row in found] == [f"{i:.1f}" for i in [*range(450), *range(1001, 1001 + turns)]]
    assert [datetime.fromisoformat(row[-2]).timestamp() for row in found] == times
    assert [row[-1] for row in found] == ["redated"] * 450 + ["synchronised"] * turns
    database = sqlite3.connect(tmp_path / "detections.sqlite")
    query = "SELECT recording, time, time_quality FROM detections ORDER BY id"
    assert database.execute(query).fetchall() == [
        (row[0], time, row[-1]) for row, time in zip(found, times, strict=True)
    ]
    assert database.execute("SELECT began, time_quality FROM gaps").fetchone() == (NOON - 10, "redated")
    assert "2026-06-21T11:59:50.000+00:00,2.0,unplugged,redated" in (tmp_path / "gaps.csv").read_text()


def test_odd_rows_get_their_time_as_plain_ones_do(tmp_path):
    """Plain lines take a short way; cells with quotes, and what somebody changed in an editor, take the long one."""
    hands = Hands(wall=50.0)
    clock = hands.clock()
    notebook = Notebook(tmp_path, clock)
    name = clock.name(100.0)
    stretch = notebook.begin(name, None, 100.0, "r")
    labels = ("plain", "a, b", 'said "so"', "two\nlines", "=1+1", "unset-clock-x,\n" + name + ",5.0")
    found = [call(float(i), label=label) for i, label in enumerate(labels)]
    notebook.add(stretch, name, None, found, clock.said)
    notebook.commit()
    path = tmp_path / "detections.csv"
    rest = "5.1,1.0,2.0,changed,0.9,0.9,,not set"
    changed = [f"{name},inf,{rest}\n", f"{name},soon,{rest}\n", f"{name},5.0\n", "\n", f"other,5.0,{rest}\n"]
    path.write_text(path.read_text() + "".join(changed) + f"{name},5.0,{rest}\r\n")
    hands.wall = NOON
    clock.check()
    list(notebook.dating())
    notebook.close()
    text = path.read_bytes().decode()
    assert all(line in text for line in changed), "what makes no sense stays as it is"
    dated = [row for row in csv.reader(io.StringIO(text, newline="")) if row and row[-1] == "redated"]
    assert [from_cell(row[5]) for row in dated] == [*labels, "changed"]
    assert {row[0] for row in dated} == {"20260621T120000.000Z"}
    assert [row[-2] for row in dated] == [f"2026-06-21T12:00:0{second}.000+00:00" for second in (0, 1, 2, 3, 4, 5, 5)]


def test_the_old_table_is_given_back_in_a_thread(tmp_path, monkeypatch):
    """To free a large file takes long, and so must not be part of a turn of the loop."""
    kept = []
    monkeypatch.setattr(table_module, "Thread", lambda target: SimpleNamespace(start=lambda: kept.append(target)))
    table = table_module.GrowingTable(tmp_path / "t.csv", ["a"])
    table.append([["old"]])
    for _ in table.rewriting(lambda row: ["new"], lambda: None):
        pass
    assert (tmp_path / "t.csv").read_text() == "a\nnew\n"
    (close,) = kept
    assert not close.__self__.closed, "the last handle of the old one is open when the new one has taken its place"
    close()
    assert close.__self__.closed
