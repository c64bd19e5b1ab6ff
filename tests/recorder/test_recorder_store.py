"""What is kept survives power cuts, full disks and clocks that are set late; clips stay within their room."""

from __future__ import annotations

import csv
import errno
import io
import os
import sqlite3
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.files import atomic_file
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.sources.events import FileKey
from ecotf_recorder.store import notebook as notebook_module
from ecotf_recorder.store import quota, redating
from ecotf_recorder.store import table as table_module
from ecotf_recorder.store.clips import ClipKeeper, Origin
from ecotf_recorder.store.database import Database
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.quota import ClipRoom
from ecotf_recorder.store.spans import RecentSound, Span, SpanPlanner, SpanSettings
from ecotf_recorder.store.table import GrowingTable
from ecotf_recorder.strangers import from_cell
from ecotf_recorder.times.clock import Clock
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_stand_ins import right_since_2020

from ecotf.audio.metadata import read_metadata
from ecotf.inference.tables import read_csv

NOON = 1_782_043_200.0  # 2026-06-21T12:00Z
RATE = 8000


def call(start_s: float, score: float = 0.9, label: str = "Myotis myotis") -> Detection:
    return Detection(start_s, start_s + 0.004, 30_000.0, 60_000.0, label, score, 0.95)


class Hands:
    def __init__(self, wall: float = NOON) -> None:
        self.steady, self.wall = 100.0, wall

    def clock(self) -> Clock:
        return Clock(lambda: self.steady, lambda: self.wall, "abcd1234", right_since_2020)


def rows(folder) -> list[list[str]]:
    with open(folder / "detections.csv", newline="") as file:
        return list(csv.reader(file))[1:]


def written(folder, n: int = 5) -> None:
    """A notebook with ``n`` detections that were kept."""
    notebook = Notebook(folder, Hands().clock())
    stretch = notebook.begin("night", NOON, 100.0, "release")
    notebook.add(stretch, "night", NOON, [call(i) for i in range(n)], "synchronised")
    notebook.close()


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
            notebook._table.append([["night", 2, 2.004, 1, 2, "x", 0.9, ""]])
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
    assert len(list(tmp_path.glob("*.csv"))) == 4


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
        "detections.csv", "detections.older-1.csv", "gaps.csv", "kept_out.csv",
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


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_that_failed_leaves_nothing(tmp_path):
    notebook = Notebook(tmp_path, Hands().clock())
    key = FileKey("a.wav", 10, 20)
    notebook.add(notebook.begin("a.wav", NOON, None, "r"), "a.wav", NOON, [call(1)])
    notebook.forget()
    notebook.settle(key, "unsupported", "another rate", 0, 0, "r")
    notebook.commit()
    assert notebook.detections == 0 == len(rows(tmp_path))
    assert notebook.database.is_done(key, "r")
    assert not notebook.database.is_done(key, "another model")
    assert not notebook.database.is_done(key._replace(changed_ns=21), "r")


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


def test_the_desktop_reads_the_first_columns(tmp_path):
    """With the time and its quality taken off, it is the desktop's own table."""
    written(tmp_path, 2)
    path = tmp_path / "plain.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([list(notebook_module.COLUMNS), *(row[:-2] for row in rows(tmp_path))])
    assert [one.start_s for _, one in read_csv(path)] == [0.0, 1.0]


SPANS = SpanSettings(before_s=0.5, after_s=0.5, merge_s=0.2, longest_s=3.0)


def test_spans_around_detections():
    planner = SpanPlanner(SPANS, RATE)
    for start in (0.1, 0.9):
        planner.add(call(start))
    assert planner.ready(settled_s=2.0, n_samples=2 * RATE) == []  # another call could still join them
    assert planner.ready(settled_s=2.2, n_samples=RATE) == []  # the sound is not there yet
    first = planner.ready(settled_s=2.2, n_samples=2 * RATE)
    assert [(span.start, len(span.detections)) for span in first] == [(0, 2)]
    assert first[0].end == round((0.904 + 0.5) * RATE)
    planner.add(call(5.0))
    last = planner.ready(None, 6 * RATE)
    assert [(span.start / RATE, round(span.end / RATE, 3)) for span in last] == [(4.5, 5.504)]
    assert planner.ready(None, 9 * RATE) == []


def test_a_long_pass_is_cut_into_spans_that_meet():
    planner = SpanPlanner(SPANS, RATE)
    for start in np.arange(1, 12, 0.1):
        planner.add(call(start))
    spans = planner.ready(None, 13 * RATE)
    assert sum(len(span.detections) for span in spans) == 110
    assert all(span.end - span.start <= 3 * RATE for span in spans)
    assert all(one.end == other.start for one, other in pairwise(spans))


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(st.integers(0, 700), max_size=12), start=st.integers(0, 3000), n=st.integers(0, 900))
def test_recent_sound_is_the_last_of_the_stretch(pieces, start, n):
    recent, whole = RecentSound(500), np.arange(sum(pieces), dtype=np.int16)
    at = 0
    for piece in pieces:
        recent.push(whole[at : at + piece])
        at += piece
    first, found = recent.cut(start, start + n)
    expected = whole[max(start, at - 500, 0) : max(0, start + n)]
    np.testing.assert_array_equal(found, expected if at > start or len(expected) else whole[:0])
    assert len(found) == 0 or found[0] == first


@pytest.fixture
def keeper(tmp_path):
    def make(quota_bytes: float = 1e9, reserve: float = 0, hands: Hands | None = None):
        clock = (hands or Hands()).clock()
        database = Database(tmp_path / "d.sqlite")
        room = ClipRoom(tmp_path / "clips", database, quota_bytes, reserve)
        return (
            room,
            ClipKeeper(room, database, clock, RATE, {"Loc Position": "50.68 4.61", "ecotf|Model": "bats"}),
            clock,
        )

    return make


def keep(clips: ClipKeeper, start_s: float, score: float, wall: float | None = NOON) -> None:
    span = Span(0, RATE, [call(0.2, score), call(0.4, score / 2, "bat")])
    quality = "not set" if wall is None else "synchronised"
    clips.write(Origin("night", wall, 100.0, quality), span, round(start_s * RATE), np.full(RATE, 7, np.int16))


def test_a_clip_says_what_it_is(keeper):
    room, clips, _ = keeper()
    span = Span(2 * RATE, 3 * RATE, [call(2.25, 0.91), call(2.5, 0.4, "bat")])
    clips.write(Origin("night", NOON, 100.0), span, 2 * RATE, np.arange(RATE, dtype=np.int16))
    (path,) = room.folder.rglob("*.wav")
    assert path.relative_to(room.folder).as_posix() == "20260621/20260621T120002.000Z_Myotis-myotis_0.910.wav"
    fields = read_metadata(path)
    assert fields["Timestamp"] == "2026-06-21T12:00:02.000+00:00"
    assert fields["Loc Position"] == "50.68 4.61"
    assert fields["Species Auto ID"] == "Myotis myotis, bat"
    assert fields["ecotf|Score"] == "0.9100"
    assert fields["ecotf|Model"] == "bats"
    assert fields["ecotf|Detections"].startswith("0.2500 0.2540 30000 60000 Myotis myotis 0.9100; 0.5")
    sound, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(sound, np.arange(RATE))
    assert room.used == path.stat().st_size


def test_a_locked_database_costs_the_clip_and_nothing_else(keeper):
    room, clips, _ = keeper()
    keep(clips, 0, 0.5)
    room._database.commit()
    other = sqlite3.connect(room._database.path)
    other.execute("BEGIN IMMEDIATE")
    keep(clips, 10, 0.9)
    assert (clips.written, clips.skipped, clips.problem) == (1, 1, "clips: database is locked")
    assert len(list(room.folder.rglob("*.wav"))) == 1
    other.close()
    keep(clips, 20, 0.9)
    assert (clips.written, clips.problem) == (2, "")


def names(room) -> list[str]:
    return sorted(path.name[9:15] + path.name[-10:-4] for path in room.folder.rglob("*.wav"))


def test_the_least_sure_and_then_the_oldest_give_way(keeper):
    room, clips, _ = keeper(quota_bytes=3 * 20_000)
    for at, score in ((0, 0.95), (10, 0.31), (20, 0.35), (30, 0.92)):
        keep(clips, at, score)
    assert names(room) == ["120000_0.950", "120020_0.350", "120030_0.920"]
    keep(clips, 40, 0.2)  # only surer ones could give way
    assert names(room) == ["120000_0.950", "120020_0.350", "120030_0.920"]
    assert clips.skipped == 1
    assert "no room for clips" in clips.problem
    keep(clips, 50, 0.93)
    keep(clips, 60, 0.94)
    assert names(room) == ["120030_0.920", "120050_0.930", "120100_0.940"]
    assert clips.problem == ""
    assert room.used == sum(path.stat().st_size for path in room.folder.rglob("*.wav"))


def test_the_reserve_of_the_disk_is_left_alone(keeper, monkeypatch):
    room, clips, _ = keeper(reserve=1_000_000)
    monkeypatch.setattr(quota, "free_bytes", lambda _: 1_010_000)
    keep(clips, 0, 0.9)
    assert names(room) == []
    assert clips.skipped == 1


def test_a_disk_that_is_full_at_the_start_gets_some_room(keeper, monkeypatch):
    room, clips, _ = keeper()
    for at, score in ((0, 0.95), (10, 0.31), (20, 0.35), (30, 0.92)):
        keep(clips, at, score)
    left = iter([0, 0, 9e6])
    monkeypatch.setattr(quota, "free_bytes", lambda _: next(left))
    assert quota.make_first_room(room.folder) == 2
    assert names(room) == ["120000_0.950", "120030_0.920"]


def test_a_locked_database_is_not_taken_for_a_damaged_one(tmp_path):
    written(tmp_path)
    with sqlite3.connect(tmp_path / "detections.sqlite", isolation_level=None) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RecorderError, match="cannot be opened"):
            Database(tmp_path / "detections.sqlite")
        other.execute("ROLLBACK")
    assert Notebook(tmp_path, Hands().clock()).detections == 5


def test_a_full_disk_costs_the_clip_and_nothing_else(keeper, monkeypatch):
    room, clips, _ = keeper()
    monkeypatch.setattr("ecotf_recorder.store.clips.write_fields", full)
    keep(clips, 0, 0.9)
    assert clips.problem == "disk full: detections go on without clips"
    assert list(room.folder.rglob("*.wav")) == []
    monkeypatch.undo()
    keep(clips, 1, 0.9)
    assert (clips.written, clips.skipped, clips.problem) == (1, 1, "")


def test_clips_and_database_agree_after_a_power_cut(keeper):
    room, clips, _ = keeper()
    for at in range(3):
        keep(clips, at, 0.5 + at / 10)
    room._database.commit()
    first, _, last = sorted(room.folder.rglob("*.wav"))
    first.unlink()
    stray = last.with_name("20260621T130000.000Z_x_0.770.wav")
    stray.write_bytes(last.read_bytes())
    (last.parent / ".partial-half.wav").write_bytes(b"RIFF")
    room.reconcile()
    scores = room._database.execute("SELECT score FROM clips ORDER BY score").fetchall()
    assert [round(score, 2) for (score,) in scores] == [0.6, 0.7, 0.77]
    assert not list(last.parent.glob(".partial*"))
    assert room.used == sum(path.stat().st_size for path in room.folder.rglob("*.wav"))


def test_clips_from_before_the_clock_was_set_are_renamed(keeper):
    hands = Hands(wall=50.0)
    room, clips, clock = keeper(hands=hands)
    keep(clips, 3, 0.9, wall=None)
    (path,) = room.folder.rglob("*.wav")
    assert (
        path.relative_to(room.folder).as_posix() == "unset-clock/unset-clock-abcd1234-103.000_Myotis-myotis_0.900.wav"
    )
    assert read_metadata(path)["ecotf|Clock"] == "not set"
    hands.wall = NOON
    clock.check()
    assert len(list(clips.date("abcd1234", clock.offset))) == 1
    (path,) = room.folder.rglob("*.wav")
    assert path.relative_to(room.folder).as_posix() == "20260621/20260621T120003.000Z_Myotis-myotis_0.900.wav"
    fields = read_metadata(path)
    assert fields["Timestamp"] == "2026-06-21T12:00:03.000+00:00"
    assert fields["ecotf|Clock"] == "redated"
    assert soundfile.info(path).frames == RATE


def test_a_file_is_whole_or_absent(tmp_path):
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "a") as partial:
        partial.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
