"""Labels, names and answers that others chose: no formula in a table, and nothing but text on a terminal."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from ecotf.commands.console import plain
from ecotf.inference.formats import Call
from ecotf.inference.tables import read_csv
from ecotf.inference.writers import write_one, write_whole_job
from ecotf.strangers import as_cell, from_cell

sys.path.insert(0, str(Path(__file__).parents[1] / "deploy" / "recorder"))

LABELS = ["=1+1", "+b", "-", "@home", "'=1+1", "it's", "bat"]
SHOWN = ["'=1+1", "'+b", "'-", "'@home", "''=1+1", "it's", "bat"]


@given(st.text(alphabet="'=+-@\t\r1.ea ") | st.text())
def test_every_text_comes_back(text):
    cell = as_cell(text)
    assert from_cell(cell) == text
    try:
        float(text)
    except ValueError:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers():
    assert [as_cell(value) for value in (-1.5, "-1.5", "+49", "-1e-3", None)] == [-1.5, "-1.5", "+49", "-1e-3", None]


@pytest.mark.parametrize("format", ["csv", "published_csv", "audiotagger"])
def test_no_table_of_the_desktop_holds_a_formula(tmp_path, format):
    calls = [Call(1.0 + n, 1.1 + n, -1.0, 2.0, label, 0.5) for n, label in enumerate(LABELS)]
    name = str(tmp_path / "=night.wav")
    written = write_one(tmp_path, "night", [format], calls, name, 96000)
    written += write_whole_job(tmp_path, [format], lambda: ((name, call) for call in calls), tmp_path)
    with open(written[0], newline="") as file:
        header, *rows = csv.reader(file)
    at = next(at for at, title in enumerate(header) if title in ("label", "Label", "predicted_species"))
    assert [row[at] for row in rows] == SHOWN
    assert all(cell != "'-1.0" for row in rows for cell in row)
    if format == "csv":
        assert [call.label for _, call in read_csv(written[0])] == LABELS
    else:
        assert rows[0][0] == "'=night.wav"


def test_the_recorder_writes_the_same_cells(tmp_path):
    from ecotf_recorder.store.table import GrowingTable

    table = GrowingTable(tmp_path / "detections.csv", ["low_hz", "label"])
    table.append([-1.0, label] for label in LABELS)
    # What is changed is the text, not the cell.
    for _ in table.rewriting(lambda row: [row[0], row[1].replace("bat", "=bat")], lambda: None):
        pass
    with open(table.path, newline="") as file:
        _, *rows = csv.reader(file)
    assert rows == [["-1.0", cell] for cell in [*SHOWN[:-1], "'=bat"]]


ODD = "a [red]b[/] \\[c] :bat: \x1b[31md\ne\r\x9b\u202ef"
SEEN = "a [red]b[/] \\[c] :bat: ␛[31md␊e␍��f"


def test_a_name_does_nothing_on_a_terminal():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=200, highlight=False, emoji=False)
    console.print(plain(ODD))
    table = Table("name")
    table.add_row(f"[green]{plain(ODD)}[/]")
    console.print(table)
    assert screen.getvalue().count(SEEN) == 2
    assert not any(odd in screen.getvalue() for odd in "\x1b\r\x9b\u202e")


def test_what_a_recorder_answers_does_nothing_on_a_terminal(monkeypatch, capsys):
    from deploy.flash import showing

    line = {"id": ODD, "name": ODD, "created": ODD, "current": True, "previous": False, "whole": True}
    status = {
        "step": "status", "current": ODD, "previous": ODD, "journal": None, "free_mb": 1, "busy": False,
        "health_age_s": 1.0,
        "health": {"state": ODD, "detections": 1, "error": ODD},
    }  # fmt: skip
    answers = {"list": [line], "status": [status]}
    oak = SimpleNamespace(name="oak")
    monkeypatch.setattr(showing, "ask_all", lambda devices, login, place, jobs, word: [(oak, answers[word])])
    monkeypatch.setattr(showing.console, "width", 400)
    showing.show_releases([oak], None, None, 1)
    showing.show_status([oak], None, None, 1)
    said = capsys.readouterr().out
    assert said.count(SEEN) == 7 and "\x1b" not in said and "\r" not in said
