"""The notebook: everything that is heard goes into the table and the database together, or waits until it can."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ecotf_recorder.classify import COLUMNS, cells
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.files import disk_is_full
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.sources.events import Began
from ecotf_recorder.store.database import Database
from ecotf_recorder.store.redating import Dating, is_needed, redate
from ecotf_recorder.store.table import GrowingTable
from ecotf_recorder.times.clock import Clock, iso_time
from ecotf_recorder.times.trust import NOT_KNOWN

_log = logging.getLogger(__name__)
TABLE_COLUMNS = (*COLUMNS, "time", "time_quality")
KEPT_OUT_COLUMNS = (*COLUMNS, "rule", "reason", "time", "time_quality")
FILE_COLUMNS = ("recording", "status", "reason", "duration_s", "n_detections", "began", "serial")
GAP_COLUMNS = ("time", "seconds", "reason", "time_quality")
_MOST_WAITING = 100_000  # rows that wait in memory while the disk is full
_UNKNOWN = -1

_ADD_STRETCH = (
    "INSERT OR REPLACE INTO stretches (id, recording, began, steady, boot, release) VALUES (?, ?, ?, ?, ?, ?)"
)
_END_STRETCH = "UPDATE stretches SET seconds = ?, ended = ? WHERE id = ?"
_ADD_DETECTION = (
    "INSERT INTO detections (stretch, recording, start_s, end_s, low_hz, high_hz, label, score, detection_score, "
    "time, time_quality) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_KEPT_OUT = _ADD_DETECTION.replace("INTO detections", "INTO kept_out").replace(
    "time_quality) VALUES (?, ?,", "time_quality, rule, reason) VALUES (?, ?, ?, ?,"
)
_ADD_GAP = "INSERT INTO gaps (began, steady, boot, seconds, reason, time_quality) VALUES (?, ?, ?, ?, ?, ?)"
_SETTLE = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class _Book(NamedTuple):
    """A table of rows that are in the database too, the fact that holds its length, and rows that wait."""

    table: GrowingTable
    fact: str
    rows: list[Sequence[object]]


class Notebook:
    """``detections.csv``, ``kept_out.csv``, ``files.csv``, ``gaps.csv`` and ``detections.sqlite`` in one folder.

    What is added is kept at `commit`; a power cut loses what came after the last one, from all of them alike.

    Attributes
    ----------
    detections
        How many there are in all.
    problem
        Why nothing can be kept; empty while it can.
    kept_out
        How many a rule kept out of the table of detections in all, of each rule.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self.database = Database(folder / "detections.sqlite")
        boot, _, quality = (self.database.fact("clock") or "").partition(" ")
        if boot == clock.boot:
            clock.believe(quality)
        self._found = self._open(folder / "detections.csv", TABLE_COLUMNS, "csv_bytes")
        self._kept_out = self._open(folder / "kept_out.csv", KEPT_OUT_COLUMNS, "kept_out_bytes")
        self._files = self._open(folder / "files.csv", FILE_COLUMNS, "files_bytes")
        self._books = self._found, self._kept_out, self._files
        self._gaps = GrowingTable(folder / "gaps.csv", GAP_COLUMNS)
        facts = {book.table: book.fact for book in self._books}
        for table in (*facts, self._gaps):
            if table.repaired:
                _log.warning(
                    "%s: %d bytes at its end were left by a power cut and are cut off", table.path, table.repaired
                )
            if table.is_of_other_columns:
                self._put_aside(table, facts.get(table), "has other columns than this recorder writes")
            elif self.database.is_new and table.has_rows:  # what is read again would be in it twice
                self._put_aside(table, facts.get(table), "belongs to a database that is gone or damaged")
        self._gap_rows: list[Sequence[object]] = []
        self._waiting: list[tuple[str, Sequence[object]]] = []
        self._stretches = int(self.database.execute("SELECT COALESCE(MAX(id), 0) FROM stretches").fetchone()[0])
        self.detections = int(self.database.execute("SELECT COUNT(*) FROM detections").fetchone()[0])
        self.kept_out: Counter[str] = Counter(
            dict(self.database.execute("SELECT rule, COUNT(*) FROM kept_out GROUP BY rule").fetchall())
        )
        self.problem = self._noted_clock = ""

    def begin(self, recording: str, wall: float | None, steady: float | None, release: str) -> int:
        """A stretch begins; returns its number."""
        self._stretches += 1
        self._waiting.append((_ADD_STRETCH, (self._stretches, recording, wall, steady, self._clock.boot, release)))
        return self._stretches

    def add(
        self, stretch: int, recording: str, wall: float | None, detections: Sequence[Detection], quality: str = ""
    ) -> None:
        """Detections of a stretch that began at ``wall``, if that is known; ``quality`` says why it is right."""
        for one in detections:
            row, when, quality = _row(recording, wall, one, quality)
            self._found.rows.append([*row, "" if when is None else iso_time(when), quality])
            self._waiting.append((_ADD_DETECTION, (stretch, *row, when, quality)))
        self.detections += len(detections)

    def keep_out(
        self, stretch: int, recording: str, wall: float | None, one: Detection, quality: str, rule: str, reason: str
    ) -> None:
        """A detection that a rule keeps out of the table."""
        row, when, quality = _row(recording, wall, one, quality)
        self._kept_out.rows.append([*row, rule, reason, "" if when is None else iso_time(when), quality])
        self._waiting.append((_ADD_KEPT_OUT, (stretch, *row, when, quality, rule, reason)))
        self.kept_out[rule] += 1

    def queue(self, statement: str, values: Sequence[object]) -> None:
        """Change the database at the next commit, together with the rows that were added."""
        self._waiting.append((statement, values))

    def reached(self, stretch: int, seconds: float, ended: str | None = None) -> None:
        """Note up to when a stretch is settled or, if it is over, its length and the reason, which may be empty."""
        self._waiting.append((_END_STRETCH, (seconds, ended, stretch)))

    def gap(self, steady: float | None, seconds: float | None, reason: str) -> None:
        """Sound that was meant to be heard and was not; None where it is not known when, or for how long."""
        wall, quality = None if steady is None else self._clock.at(steady), self._clock.said
        length = "" if seconds is None else round(seconds, 3)
        self._gap_rows.append(["" if wall is None else iso_time(wall), length, reason, quality])
        self._waiting.append((_ADD_GAP, (wall, steady, self._clock.boot, seconds, reason, quality)))
        _log.warning("gap of %s s: %s", length if length != "" else "?", reason)

    def settle(self, file: Began, status: str, reason: str, seconds: float, detections: int, release: str) -> None:
        """Note the result of a file of which ``seconds`` were heard; it is final at the next commit."""
        assert file.key is not None
        now, facts = self._clock.at(self._clock.now()), file.facts
        length = round(facts.seconds, 6) if facts.seconds else ""
        self._files.rows.append([file.name, status, reason, length, detections, facts.began, facts.serial])
        self._waiting.append((_SETTLE, (*file.key, status, reason, seconds, detections, now, release)))

    def forget(self) -> None:
        """Drop what was added since the last commit."""
        self.detections -= len(self._found.rows)
        self.kept_out.subtract(str(row[len(COLUMNS)]) for row in self._kept_out.rows)
        self._gap_rows, self._waiting = [], []
        for book in self._books:
            book.rows.clear()

    def commit(self) -> bool:
        """Keep everything; False, with the `problem`, when the disk does not take it. It is then tried again."""
        sizes = {table: table.size for table in (*(book.table for book in self._books), self._gaps)}
        try:
            for book in self._books:
                book.table.append(book.rows)
            self._gaps.append(self._gap_rows)
            for statement, values in self._waiting:
                self.database.execute(statement, values)
            for book in self._books:
                if book.rows:
                    self.database.remember(book.fact, book.table.size)
            if self._clock.is_set and self._noted_clock != self._clock.quality:
                self.database.remember("clock", f"{self._clock.boot} {self._clock.quality}")
            self.database.commit()
            self._noted_clock = self._clock.quality
        except (OSError, sqlite3.Error) as error:
            self._take_back(sizes)
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                path = self.database.path
                raise RecorderError(f"{path}: damaged ({error}); the next start begins a new one") from None
            full = (isinstance(error, OSError) and disk_is_full(error)) or "full" in str(error)
            problem = "disk full: detections wait in memory" if full else f"detections cannot be kept ({error})"
            if problem != self.problem:
                _log.error("%s", problem)
            self.problem = problem
            return False
        if self.problem:
            _log.info("detections are kept again")
        self._gap_rows, self._waiting, self.problem = [], [], ""
        for book in self._books:
            book.rows.clear()
        return True

    @property
    def needs_dating(self) -> bool:
        """Whether something was heard before the clock was set, and can get its time now."""
        return is_needed(self.database, self._clock)

    def dating(self, clips: Callable[[str, float], Dating] | None = None) -> Dating:
        """Now that the clock is set: name and date what this boot heard before; does some of it at each turn.

        Everything that was added must have been committed; more may be added and committed between two turns.
        """

        def replacing(table: GrowingTable, begins: bool) -> None:
            # Should the power go between the two, the length that the database knows must not cut the new table.
            fact = next(book.fact for book in self._books if book.table is table)
            self.database.remember(fact, _UNKNOWN if begins else table.size)
            self.database.commit()

        tables = self._found.table, self._kept_out.table
        return redate(self.database, tables, self._gaps, self._clock, clips, replacing)

    def close(self) -> None:
        """Keep what can be kept, and close."""
        self.commit()
        self.database.close()

    def _open(self, path: Path, columns: Sequence[str], fact: str) -> _Book:
        committed = int(self.database.fact(fact) or _UNKNOWN)
        return _Book(GrowingTable(path, columns, committed if committed > 0 else None), fact, [])

    def _put_aside(self, table: GrowingTable, fact: str | None, reason: str) -> None:
        """Begin a table anew; what the database knows of the length of the old one must never cut the new one."""
        if fact is not None:
            self.database.remember(fact, _UNKNOWN)
            self.database.commit()
        aside = table.put_aside()
        if fact is not None:
            self.database.remember(fact, table.size)
            self.database.commit()
        _log.warning("%s %s; it was kept as %s", table.path, reason, aside.name)

    def _take_back(self, sizes: Mapping[GrowingTable, int]) -> None:
        for table, size in sizes.items():
            table.cut(size)
        try:
            self.database.rollback()
        except sqlite3.Error as error:
            _log.debug("nothing to roll back (%s)", error)
        if len(self._waiting) > _MOST_WAITING:
            _log.error("the disk has been full for too long: %d rows are lost", len(self._waiting))
            self.forget()


def _row(recording: str, wall: float | None, one: Detection, quality: str) -> tuple[list[object], float | None, str]:
    """Return the cells of a detection, its time if that is known, and why it is right."""
    when = None if wall is None else wall + one.start_s
    return [recording, *cells(one)], when, quality if wall is not None else quality or NOT_KNOWN
