"""``detections.sqlite``: what was heard and when, what was lost, which files are done, which clips exist."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ecotf_recorder.errors import RecorderError
from ecotf_recorder.sources.events import FileKey

_log = logging.getLogger(__name__)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS stretches (      -- sound without gaps: a night of a microphone, or one file
    id INTEGER PRIMARY KEY, recording TEXT, began REAL, steady REAL, boot TEXT, seconds REAL, ended TEXT, release TEXT);
CREATE TABLE IF NOT EXISTS detections (     -- time: seconds since 1970, empty while the clock was not set
    id INTEGER PRIMARY KEY, stretch INTEGER REFERENCES stretches, recording TEXT, start_s REAL, end_s REAL, low_hz REAL,
    high_hz REAL, label TEXT, score REAL, detection_score REAL, time REAL, time_quality TEXT);
CREATE INDEX IF NOT EXISTS detections_by_time ON detections (time);
CREATE TABLE IF NOT EXISTS kept_out (       -- detections that a rule of the config keeps out, and why
    id INTEGER PRIMARY KEY, stretch INTEGER REFERENCES stretches, recording TEXT, start_s REAL, end_s REAL, low_hz REAL,
    high_hz REAL, label TEXT, score REAL, detection_score REAL, time REAL, time_quality TEXT, rule TEXT, reason TEXT);
CREATE TABLE IF NOT EXISTS waiting (        -- detections that wait for company (rules.hits); in no other table yet
    id INTEGER PRIMARY KEY, stretch INTEGER REFERENCES stretches, recording TEXT, wall REAL, time_quality TEXT,
    start_s REAL, end_s REAL, low_hz REAL, high_hz REAL, label TEXT, score REAL, detection_score REAL,
    is_confirmed INTEGER);
CREATE TABLE IF NOT EXISTS gaps (           -- sound that was meant to be heard and was not
    id INTEGER PRIMARY KEY, began REAL, steady REAL, boot TEXT, seconds REAL, reason TEXT, time_quality TEXT);
CREATE TABLE IF NOT EXISTS files (          -- the ledger of a folder
    path TEXT, size INTEGER, changed_ns INTEGER, status TEXT, reason TEXT, seconds REAL, detections INTEGER, done REAL,
    release TEXT, PRIMARY KEY (path, size, changed_ns));
CREATE TABLE IF NOT EXISTS clips (
    id INTEGER PRIMARY KEY, path TEXT UNIQUE, bytes INTEGER, began REAL, steady REAL, boot TEXT, seconds REAL,
    label TEXT, score REAL);
"""
_LATER_COLUMNS = (  # that the database of an older recorder lacks
    ("detections", "detection_score", "REAL"), ("detections", "time_quality", "TEXT"), ("gaps", "time_quality", "TEXT"),
)  # fmt: skip


class Database:
    """SQLite in WAL mode. Nothing is kept until `commit`, which waits for the disk; a power cut loses what came after.

    Parameters
    ----------
    path
        A file that turns out to be damaged is put aside under another name, and a new one begun. One of an older
        recorder gets the columns that it lacks; they are empty in its rows.

    Attributes
    ----------
    damage
        What was wrong with the file that is put aside; empty as a rule.
    is_new
        Whether it begins empty, so that no row of a table is known to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.damage = ""
        self.is_new = not path.exists() or path.stat().st_size == 0
        try:
            self._open()
        except sqlite3.OperationalError as error:  # locked, not allowed, no room: nothing is wrong with the file
            raise RecorderError(f"{path}: cannot be opened ({error})") from None
        except sqlite3.DatabaseError as error:
            self.damage, self.is_new = str(error), True
            aside = path.with_name(f"{path.name}.damaged-{os.stat(path).st_mtime_ns}")
            for ending in ("", "-wal", "-shm"):
                if Path(f"{path}{ending}").exists():
                    os.replace(f"{path}{ending}", f"{aside}{ending}")
            _log.error("%s is damaged (%s); it was put aside as %s", path, error, aside.name)
            self._open()

    def _open(self) -> None:
        self._file = sqlite3.connect(self.path, timeout=2.0, isolation_level=None)
        try:
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=FULL")
            self._file.execute("PRAGMA journal_size_limit=4000000")
            self._file.execute("PRAGMA cache_size=-1000")
            found = self._file.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            self._file.executescript(_SCHEMA)
            self._add_later_columns()
        except BaseException:
            self._file.close()
            raise

    def _add_later_columns(self) -> None:
        for table, column, kind in _LATER_COLUMNS:
            if column not in [row[1] for row in self._file.execute(f"PRAGMA table_info({table})")]:
                self._file.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement; one that changes something opens a transaction."""
        if not self._file.in_transaction and not statement.lstrip().upper().startswith("SELECT"):
            self._file.execute("BEGIN IMMEDIATE")
        return self._file.execute(statement, values)

    def commit(self) -> None:
        """Keep what was changed, and wait until it is on the disk."""
        if self._file.in_transaction:
            self._file.execute("COMMIT")

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Commit at the end without waiting for the disk: a power cut may undo it, but never what is committed next."""
        self.commit()  # the setting cannot be changed within a transaction
        self._file.execute("PRAGMA synchronous=NORMAL")
        try:
            yield
            self.commit()
        finally:
            self.rollback()
            self._file.execute("PRAGMA synchronous=FULL")

    def rollback(self) -> None:
        """Forget what was changed since the last commit."""
        if self._file.in_transaction:
            self._file.execute("ROLLBACK")

    def close(self) -> None:
        """Close without keeping what was not committed; the WAL goes into the file."""
        self.rollback()
        self._file.close()

    def fact(self, name: str) -> str | None:
        """A remembered fact."""
        found = self._file.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def remember(self, name: str, value: object) -> None:
        """Remember a fact."""
        self.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, str(value)))

    def forget(self, name: str) -> None:
        """Forget a fact."""
        self.execute("DELETE FROM facts WHERE name = ?", (name,))

    def is_done(self, key: FileKey, release: str) -> bool:
        """Check that a file of a folder is done; a file that a model could not use is done for that release only."""
        query = "SELECT 1 FROM files WHERE path = ? AND size = ? AND changed_ns = ?"
        query += " AND (status != 'unsupported' OR release = ?)"
        return self._file.execute(query, (*key, release)).fetchone() is not None
