"""Hits: what has company is reported; nothing is lost, however sound is cut or the recorder killed."""

from __future__ import annotations

import math
import random
import sqlite3
from pathlib import Path

import pytest
from ecotf_recorder.rules.judge import Judge, Rules
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.store.clips import Origin
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.times.clock import iso_time
from recorder_stand_ins import NOON
from recorder_states import Board, labelled, records

LABELS = ("bat", "Myotis myotis", "Nyctalus noctula")


def told(folder: Path) -> list[tuple[str, str, str]]:
    """Every row of both tables: time, label, and where it stands."""
    found = [(row["time"], row["label"], "") for row in records(folder / "detections.csv")]
    return sorted(found + [(row["time"], row["label"], row["rule"]) for row in records(folder / "kept_out.csv")])


def kept(folder: Path) -> list[tuple[float, str, str]]:
    """The same from the database."""
    file = sqlite3.connect(folder / "detections.sqlite")
    assert file.execute("SELECT COUNT(*) FROM waiting").fetchone() == (0,)
    query = "SELECT time, label, '' FROM detections UNION ALL SELECT time, label, rule FROM kept_out"
    return sorted((iso_time(row[0]), *row[1:]) for row in file.execute(query))


def have_company(calls: list[Detection], hits: int, within_s: float) -> list[bool]:
    """The rule, as the manual says it."""
    times = {label: sorted(one.start_s for one in calls if one.label == label) for label in LABELS}

    def has(one: Detection) -> bool:
        near = times[one.label]
        groups = (near[i : i + hits] for i in range(len(near) - hits + 1))
        return any(group[-1] - group[0] <= within_s and group[0] <= one.start_s <= group[-1] for group in groups)

    return [has(one) for one in calls]


@pytest.mark.parametrize("seed", range(8))
def test_hits_are_the_rule_however_sound_is_cut_killed_or_powered_off(tmp_path, seed):
    draw, board = random.Random(seed), Board()
    rules = Rules(*((2, 1.0005), (3, 4.0005), (5, 8.0005))[seed % 3])
    calls = sorted(labelled(round(draw.uniform(0, 60), 3), draw.choice(LABELS)) for _ in range(80))
    company = have_company(calls, rules.hits, rules.within_s)
    expected = [
        (iso_time(NOON + one.start_s), one.label, "" if has else "hits")
        for one, has in zip(calls, company, strict=True)
    ]
    assert 10 < sum(company) < 70
    late: list[Detection] = []  # found by the model after one that begins later
    is_up, kills = False, 0
    while board.now < 65 or not is_up:
        if not is_up:
            notebook, is_up = Notebook(tmp_path, clock := board.clock()), True
            judge, origin = Judge(rules, notebook, clock, live=True), None
        if origin is None or draw.random() < 0.2:
            origin = Origin(f"night {board.now}", NOON + board.now, board.steady, "synchronised")
            began, stretch = board.now, notebook.begin(origin.recording, origin.wall, origin.steady, "r")
        at, board.now = board.now, board.now + draw.uniform(0.05, 3)
        new = [*late, *(one for one in calls if at <= one.start_s < board.now)]
        settled = max(began, board.now - 0.5)
        late = [one for one in new if one.start_s > settled and draw.random() < 0.5]
        given = [one._replace(start_s=one.start_s - began) for one in new if one not in late]
        judge.push(stretch, origin, given, settled - began)
        if not late and draw.random() < 0.3:
            notebook.commit()
            notebook.queue("DELETE FROM waiting", ())  # what a kill leaves in memory
            notebook.database.close()
            is_up, kills = False, kills + 1
            if draw.random() < 0.5:
                board.boot()
    judge.pass_time(math.inf)
    notebook.close()
    assert kills > 1
    assert told(tmp_path) == sorted(expected) == kept(tmp_path)


def test_what_waits_for_company_gets_its_time_when_the_clock_is_set(tmp_path):
    board, rules = Board(), Rules(2, 30.0)
    for steps in ("set", "kill and set", "set and kill", "boot"):
        board.is_set, folder = False, tmp_path / steps
        folder.mkdir()
        notebook = Notebook(folder, clock := board.clock())
        judge = Judge(rules, notebook, clock, live=True)
        origin = Origin(clock.name(board.steady), None, board.steady, "not set")
        stretch = notebook.begin(origin.recording, None, board.steady, "r")
        for start_s in (1.0, 2.0, 3.0):
            judge.push(stretch, origin, [labelled(start_s, LABELS[int(start_s) % 2])], start_s)
        for step in steps.split(" and "):
            if step == "set":
                board.is_set = True
                clock.check()
                judge.redate()
                notebook.commit()
                list(notebook.dating())
            else:
                notebook.commit()
                notebook.database.close()
                board.now += 100
                board.boot() if step == "boot" else None
                notebook = Notebook(folder, clock := board.clock())
                judge = Judge(rules, notebook, clock, live=True)
        judge.pass_time(math.inf)
        notebook.close()
        rows = told(folder)
        assert [row[2] for row in sorted(rows, key=lambda row: row[1:])] == ["", "", "hits"]
        times = {row[0] for row in rows}
        assert len(times) == 3 if steps != "boot" else times == {""}, steps
        named = {row["recording"][:5] for name in ("detections", "kept_out") for row in records(folder / f"{name}.csv")}
        assert named == ({"unset"} if steps == "boot" else {"20260"})


def test_no_rule_any_more_reports_what_waited(tmp_path):
    board = Board()
    for rules in (Rules(3, 30.0), Rules()):
        notebook = Notebook(tmp_path, clock := board.clock())
        judge = Judge(rules, notebook, clock, live=True)
        if rules.hits > 1:
            origin = Origin("night", NOON, board.steady, "synchronised")
            assert judge.push(notebook.begin("night", NOON, board.steady, "r"), origin, [labelled(1.0)], 1.5) == []
            assert judge.n_waiting == 1
        notebook.close()
    assert told(tmp_path) == [(iso_time(NOON + 1), "bat", "")] == kept(tmp_path)
