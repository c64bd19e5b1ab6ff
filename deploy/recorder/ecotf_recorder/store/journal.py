"""The journal: everything that is heard goes into the table and the database together, or waits until it can."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ecotf_recorder.classify import COLUMNS, cells
from ecotf_recorder.files import disk_is_full
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.sources.events import FileKey
from ecotf_recorder.store.database import Database
from ecotf_recorder.store.table import GrowingTable
from ecotf_recorder.times.clock import Clock, file_time, iso_time

_log = logging.getLogger(__name__)
TABLE_COLUMNS = (*COLUMNS, "time")
GAP_COLUMNS = ("time", "seconds", "reason")
_MOST_WAITING = 100_000  # rows that wait in memory while the disk is full
_UNKNOWN = -1

_ADD_STRETCH = (
    "INSERT OR REPLACE INTO stretches (id, recording, began, steady, boot, release) VALUES (?, ?, ?, ?, ?, ?)"
)
_END_STRETCH = "UPDATE stretches SET seconds = ?, ended = ? WHERE id = ?"
_ADD_DETECTION = (
    "INSERT INTO detections (stretch, recording, start_s, end_s, low_hz, high_hz, label, score, detection_score, "
    "time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_GAP = "INSERT INTO gaps (began, steady, boot, seconds, reason) VALUES (?, ?, ?, ?, ?)"
_SETTLE = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Journal:
    """``detections.csv``, ``gaps.csv`` and ``detections.sqlite`` in one folder.

    What is added is kept at `commit`; a power cut loses what came after the last one, from all three alike.

    Attributes
    ----------
    detections
        How many there are in all.
    problem
        Why nothing can be kept; empty while it can.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self.database = Database(folder / "detections.sqlite")
        committed = int(self.database.fact("csv_bytes") or _UNKNOWN)
        self._table = GrowingTable(folder / "detections.csv", TABLE_COLUMNS, committed if committed > 0 else None)
        self._gaps = GrowingTable(folder / "gaps.csv", GAP_COLUMNS)
        for table in (self._table, self._gaps):
            if table.repaired:
                _log.warning(
                    "%s: %d bytes at its end were left by a power cut and are cut off", table.path, table.repaired
                )
            if table.is_of_other_columns:
                self._put_aside(table)
        self._rows: list[Sequence[object]] = []
        self._gap_rows: list[Sequence[object]] = []
        self._waiting: list[tuple[str, Sequence[object]]] = []
        self._stretches = int(self.database.execute("SELECT COALESCE(MAX(id), 0) FROM stretches").fetchone()[0])
        self.detections = int(self.database.execute("SELECT COUNT(*) FROM detections").fetchone()[0])
        self.problem = ""

    def begin(self, recording: str, wall: float | None, steady: float | None, release: str) -> int:
        """A stretch begins; returns its number."""
        self._stretches += 1
        self._waiting.append((_ADD_STRETCH, (self._stretches, recording, wall, steady, self._clock.boot, release)))
        return self._stretches

    def add(self, stretch: int, recording: str, wall: float | None, detections: Sequence[Detection]) -> None:
        """Detections of a stretch that began at ``wall``, if that is known."""
        for one in detections:
            when = None if wall is None else wall + one.start_s
            row = [recording, *cells(one)]
            self._rows.append([*row, "" if when is None else iso_time(when)])
            self._waiting.append((_ADD_DETECTION, (stretch, *row, when)))
        self.detections += len(detections)

    def reached(self, stretch: int, seconds: float, ended: str = "") -> None:
        """Note the length of a stretch and, if it is over, the reason."""
        self._waiting.append((_END_STRETCH, (seconds, ended, stretch)))

    def gap(self, steady: float, seconds: float, reason: str) -> None:
        """Sound that was meant to be heard and was not."""
        wall = self._clock.at(steady)
        self._gap_rows.append(["" if wall is None else iso_time(wall), round(seconds, 3), reason])
        self._waiting.append((_ADD_GAP, (wall, steady, self._clock.boot, seconds, reason)))
        _log.warning("gap of %.3f s: %s", seconds, reason)

    def settle(self, key: FileKey, status: str, reason: str, seconds: float, detections: int, release: str) -> None:
        """Note the result of a file; it is final at the next commit."""
        now = self._clock.at(self._clock.now())
        self._waiting.append((_SETTLE, (*key, status, reason, seconds, detections, now, release)))

    def forget(self) -> None:
        """Drop what was added since the last commit."""
        self.detections -= len(self._rows)
        self._rows, self._gap_rows, self._waiting = [], [], []

    def commit(self) -> bool:
        """Keep everything; False, with the `problem`, when the disk does not take it. It is then tried again."""
        size, gap_size = self._table.size, self._gaps.size
        try:
            self._table.append(self._rows)
            self._gaps.append(self._gap_rows)
            for statement, values in self._waiting:
                self.database.execute(statement, values)
            if self._rows:
                self.database.remember("csv_bytes", self._table.size)
            self.database.commit()
        except (OSError, sqlite3.Error) as error:
            self._take_back(size, gap_size)
            full = (isinstance(error, OSError) and disk_is_full(error)) or "full" in str(error)
            problem = "disk full: detections wait in memory" if full else f"detections cannot be kept ({error})"
            if problem != self.problem:
                _log.error("%s", problem)
            self.problem = problem
            return False
        if self.problem:
            _log.info("detections are kept again")
        self._rows, self._gap_rows, self._waiting, self.problem = [], [], [], ""
        return True

    def date(self) -> int:
        """Now that the clock is set: name and date what this boot heard before; returns how many stretches."""
        if not self.commit():
            return 0
        query = "SELECT id, recording, steady FROM stretches WHERE began IS NULL AND steady IS NOT NULL AND boot = ?"
        named: dict[str, float] = {}
        self.database.remember("csv_bytes", _UNKNOWN)
        self.database.commit()
        for stretch, recording, steady in self.database.execute(query, (self._clock.boot,)).fetchall():
            wall = self._clock.at(steady)
            if wall is None:
                return 0
            named[recording] = wall
            change = "UPDATE stretches SET recording = ?, began = ? WHERE id = ?"
            self.database.execute(change, (file_time(wall), wall, stretch))
            change = "UPDATE detections SET recording = ?, time = ? + start_s WHERE stretch = ?"
            self.database.execute(change, (file_time(wall), wall, stretch))
        gaps: dict[tuple[str, str], list[str]] = {}  # the times of gaps that are written alike, in their order
        for gap, steady, boot, seconds, reason in self.database.execute(
            "SELECT id, steady, boot, seconds, reason FROM gaps WHERE began IS NULL ORDER BY id"
        ).fetchall():
            wall = self._clock.at(steady) if boot == self._clock.boot else None
            gaps.setdefault((str(round(seconds, 3)), reason), []).append("" if wall is None else iso_time(wall))
            self.database.execute("UPDATE gaps SET began = ? WHERE id = ?", (wall, gap))

        def renamed(row: list[str]) -> list[str]:
            if row and row[0] in named:
                wall = named[row[0]]
                return [file_time(wall), *row[1:-1], iso_time(wall + float(row[1]))]
            return row

        def dated(row: list[str]) -> list[str]:
            times = gaps.get((row[1], row[2])) if len(row) == len(GAP_COLUMNS) and not row[0] else None
            return [times.pop(0), *row[1:]] if times else row

        if named:
            self._table.rewrite(renamed)
        if gaps:
            self._gaps.rewrite(dated)
        self.database.remember("csv_bytes", self._table.size)
        self.database.commit()
        return len(named)

    def close(self) -> None:
        """Keep what can be kept, and close."""
        self.commit()
        self.database.close()

    def _put_aside(self, table: GrowingTable) -> None:
        """Begin a table anew; what the database knows of the length of the old one must never cut the new one."""
        self.database.remember("csv_bytes", _UNKNOWN)
        self.database.commit()
        aside = table.put_aside()
        self.database.remember("csv_bytes", self._table.size)
        self.database.commit()
        _log.warning("%s has other columns than this recorder writes; it was kept as %s", table.path, aside.name)

    def _take_back(self, size: int, gap_size: int) -> None:
        self._table.cut(size)
        self._gaps.cut(gap_size)
        try:
            self.database.rollback()
        except sqlite3.Error as error:
            _log.debug("nothing to roll back (%s)", error)
        if len(self._waiting) > _MOST_WAITING:
            _log.error("the disk has been full for too long: %d rows are lost", len(self._waiting))
            self.forget()
