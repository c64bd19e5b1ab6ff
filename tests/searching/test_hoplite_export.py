"""Embeddings as a database of perch-hoplite: what its tables and its index hold."""

from __future__ import annotations

import json
import sqlite3
import sys

import numpy as np
import pytest
from tiny_archive import tiny_archive

from ecotf.commands.search import main
from ecotf.errors import ConfigError
from ecotf.searching.begin import begin_session
from ecotf.searching.find import Asked, Wanted
from ecotf.searching.hoplite import INDEX, SQLITE, export_hoplite, write_sqlite


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hoplite")
    return folder, tiny_archive(folder, nights=2)


def test_every_row_is_a_window(made, tmp_path):
    folder, embeddings = made
    session, _ = begin_session(embeddings, tmp_path / "owls", Asked((folder / "owl.wav",)), Wanted(3), "Owl")
    session.decide("accept", session.shown[0])
    session.decide("reject", session.shown[1])
    written = write_sqlite(embeddings, tmp_path / SQLITE, session)
    assert (written.windows, written.recordings, written.annotations) == (80, 2, 2)
    with sqlite3.connect(tmp_path / SQLITE) as database:
        windows = database.execute(
            "SELECT w.id, filename, datetime, offsets "
            "FROM windows w JOIN recordings r ON r.id = recording_id ORDER BY w.id"
        ).fetchall()
        marks = database.execute("SELECT offsets, label, label_type FROM annotations ORDER BY id").fetchall()
        metadata = {key: json.loads(value) for key, value in database.execute("SELECT * FROM hoplite_metadata")}
        places = database.execute("SELECT name, project FROM deployments").fetchall()
    table = embeddings.table
    assert [number for number, *_ in windows] == list(range(1, 81))
    np.testing.assert_array_equal(
        [np.frombuffer(one[3], "<f8") for one in windows], table[["start_s", "end_s"]].to_numpy()
    )
    assert windows[0][1:3] == ("20260620_221500.wav", "2026-06-20T22:15:00")
    assert metadata["usearch_config"]["embedding_dim"] == embeddings.numbers
    assert metadata["audio_sources"]["audio_globs"][0]["base_path"] == str((folder / "nights").resolve())
    assert [(label, kind) for _, label, kind in marks] == [("Owl", 1), ("Owl", 0)]
    assert np.frombuffer(marks[0][0], "<f8")[0] == table["start_s"].iloc[session.shown[0]]
    assert places == [("nights", "nights")]


def test_the_index_holds_the_rows(made, tmp_path):
    index = pytest.importorskip("usearch.index", reason="usearch is not installed")
    folder, embeddings = made
    assert main(["export-hoplite", str(folder / "embeddings"), "--output", str(tmp_path / "db")]) == 0
    opened = index.Index(ndim=embeddings.numbers, path=tmp_path / "db" / INDEX, view=True)
    assert len(opened) == 80
    np.testing.assert_array_equal(opened.get(17), embeddings.rows([16])[0])
    with pytest.raises(ConfigError, match="is there already"):
        export_hoplite(embeddings, tmp_path / "db")


def test_without_usearch_one_line_says_so(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(
        ConfigError, match="needs the package usearch, which is not installed; run: pip install usearch"
    ):
        export_hoplite(made[1], tmp_path / "db")
    assert not (tmp_path / "db").exists()
