"""Embeddings as a database of perch-hoplite, so that its users can go on there.

The layout is that of perch-hoplite 1.0 (``perch_hoplite.db.sqlite_usearch_impl``): ``hoplite.sqlite`` says what each
window is of, and ``usearch.index`` holds the vectors as half-precision numbers under the windows' numbers.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.embeddings.store import Embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.files import atomic_folder
from ecotf.searching.hits import began
from ecotf.searching.session import Session

SQLITE, INDEX = "hoplite.sqlite", "usearch.index"
_POSITIVE, _NEGATIVE = 1, 0
_SCHEMA = """
CREATE TABLE hoplite_metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, project TEXT NOT NULL, latitude REAL, longitude REAL,
    UNIQUE (name, project));
CREATE TABLE recordings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, filename TEXT NOT NULL, datetime TEXT,
    deployment_id INTEGER REFERENCES deployments(id) ON DELETE CASCADE,
    UNIQUE (id, deployment_id), UNIQUE (filename, deployment_id));
CREATE TABLE windows (
    id INTEGER PRIMARY KEY AUTOINCREMENT, recording_id INTEGER NOT NULL REFERENCES recordings(id) ON DELETE CASCADE,
    offsets FLOAT_LIST NOT NULL, UNIQUE (id, recording_id, offsets));
CREATE TABLE annotations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, recording_id INTEGER NOT NULL REFERENCES recordings(id) ON DELETE CASCADE,
    offsets FLOAT_LIST NOT NULL, label TEXT NOT NULL, label_type INTEGER NOT NULL, provenance TEXT NOT NULL,
    UNIQUE (id, recording_id, offsets));
CREATE INDEX idx_annotations ON annotations(recording_id, offsets, label, label_type, provenance);
CREATE INDEX idx_labels ON annotations(label, label_type, provenance);
CREATE INDEX idx_recordings_deployment_id ON recordings(deployment_id);
CREATE INDEX idx_windows_recording_id ON windows(recording_id);
"""


@dataclass(frozen=True)
class Database:
    """What was written."""

    windows: int
    recordings: int
    annotations: int


def export_hoplite(
    embeddings: Embeddings, output: Path, session: Session | None = None, overwrite: bool = False
) -> Database:
    """Write a database of perch-hoplite: every row of the table is a window.

    A deployment is the folder of a recording; file names are relative to the folder that holds all recordings, which is
    kept as the audio source. Labels of the table are annotations; those of a session's decisions are positive where a
    hit was accepted and negative where it was rejected.

    Parameters
    ----------
    output
        A folder; it appears whole or not at all.
    session
        One over the same embeddings.
    overwrite
        Replace what is there.

    Raises
    ------
    ConfigError
        The package usearch is not installed, the folder is there already, or the session is of other embeddings.

    Examples
    --------
    >>> export_hoplite(ecotf.open_embeddings("embeddings/"), Path("hoplite/")).windows  # doctest: +SKIP
    86400
    """
    index = _new_index(embeddings.numbers)
    if output.exists() and not overwrite:
        raise ConfigError(f"{output}: is there already; give another --output, or --overwrite")
    if session is not None and session.facts.embeddings != os.path.realpath(embeddings.folder):
        raise ConfigError(f"{session.folder}: a session over {session.facts.embeddings}, not over {embeddings.folder}")
    if not len(embeddings):
        raise DataError(f"{embeddings.folder}: holds no embedding")
    with atomic_folder(output) as partial:
        for start, block in embeddings.blocks():
            index.add(np.arange(start + 1, start + 1 + len(block), dtype=np.uint64), np.ascontiguousarray(block))
        index.save(str(partial / INDEX))
        return write_sqlite(embeddings, partial / SQLITE, session)


def write_sqlite(embeddings: Embeddings, path: Path, session: Session | None = None) -> Database:
    """Write the tables; window ``i + 1`` is row ``i`` of the embeddings."""
    table, paths = embeddings.table, embeddings.paths
    names = list(dict.fromkeys(table["recording"]))
    files = [str(paths.get(name, name)) for name in names]
    root = _root(files)
    project = os.path.basename(root.rstrip("/")) or "recordings"
    shown = [os.path.relpath(file, root) if os.path.isabs(file) else file for file in files]
    folders = [os.path.dirname(file) or project for file in shown]
    places = {folder: number for number, folder in enumerate(dict.fromkeys(folders), start=1)}
    number_of = {name: number for number, name in enumerate(names, start=1)}
    annotations = list(_annotations(embeddings, session, number_of))
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_SCHEMA)
        database.executemany("INSERT INTO hoplite_metadata VALUES (?, ?)", _metadata(embeddings, root, project))
        _insert(database, "deployments (id, name, project)", ((n, name, project) for name, n in places.items()))
        times = (_time(embeddings, name) for name in names)
        rows = zip(number_of.values(), shown, times, (places[folder] for folder in folders), strict=True)
        _insert(database, "recordings (id, filename, datetime, deployment_id)", rows)
        columns = (table["recording"], table["start_s"], table["end_s"])
        windows = enumerate(zip(*columns, strict=True), start=1)
        _insert(
            database, "windows (id, recording_id, offsets)",
            ((number, number_of[name], _offsets(start_s, end_s)) for number, (name, start_s, end_s) in windows),
        )  # fmt: skip
        _insert(database, "annotations (recording_id, offsets, label, label_type, provenance)", annotations)
    return Database(len(table), len(names), len(annotations))


def _new_index(numbers: int) -> Any:
    try:
        from usearch.index import Index
    except ImportError:
        raise ConfigError(
            "a database of perch-hoplite needs the package usearch, which is not installed; run: pip install usearch"
        ) from None
    return Index(ndim=numbers, metric="ip", dtype="f16", expansion_add=256, expansion_search=128)


def _metadata(embeddings: Embeddings, root: str, project: str) -> Iterator[tuple[str, str]]:
    about = embeddings.about
    config = {
        "embedding_dim": about.numbers, "dtype": "float16", "metric_name": "IP", "expansion_add": 256,
        "expansion_search": 128,
    }  # fmt: skip
    source = {
        "dataset_name": project, "base_path": root, "file_glob": "**/*", "min_audio_len_s": 1.0,
        "target_sample_rate_hz": about.sample_rate, "shard_len_s": 60.0, "max_shards_per_file": None,
    }  # fmt: skip
    yield "usearch_config", json.dumps(config)
    yield "audio_sources", json.dumps({"audio_globs": [source]})
    facts = {
        "embedder": about.embedder, "licence": about.licence, "digest": about.digest,
        "window_s": about.samples / about.sample_rate, "hop_s": about.hop_samples / about.sample_rate,
    }  # fmt: skip
    yield "ecotf", json.dumps(facts)


def _annotations(
    embeddings: Embeddings, session: Session | None, number_of: dict[str, int]
) -> Iterator[tuple[int, bytes, str, int, str]]:
    table = embeddings.table
    if "label" in table:
        columns = (table["recording"], table["start_s"], table["end_s"], table["label"])
        for name, start_s, end_s, label in zip(*columns, strict=True):
            if label:
                yield number_of[name], _offsets(start_s, end_s), str(label), _POSITIVE, "manifest"
    if session is not None:
        for row, accepted in session.answers.items():
            one = table.iloc[row]
            kind = _POSITIVE if accepted else _NEGATIVE
            offsets = _offsets(one["start_s"], one["end_s"])
            yield number_of[one["recording"]], offsets, session.facts.label, kind, "ecotf search"


def _insert(database: sqlite3.Connection, into: str, rows: Iterable[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * (into.count(",") + 1))
    database.executemany(f"INSERT INTO {into} VALUES ({marks})", rows)


def _offsets(start_s: float, end_s: float) -> bytes:
    return np.array([start_s, end_s], "<f8").tobytes()


def _time(embeddings: Embeddings, recording: str) -> str | None:
    found = began(embeddings, recording)
    return None if found is None else found.local.isoformat()


def _root(files: list[str]) -> str:
    """Return the folder that holds all files."""
    folders = {os.path.dirname(file) for file in files if os.path.isabs(file)}
    return os.path.commonpath(folders) if folders else ""
