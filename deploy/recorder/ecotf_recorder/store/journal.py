"""The journal: everything that is heard goes into the table and the database together, or waits until it can."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ecotf_recorder.classify import COLUMNS, cells
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.files import disk_is_full
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.sources.events import FileKey
from ecotf_recorder.store.database import Database
from ecotf_recorder.store.redating import Dating, is_needed, redate
from ecotf_recorder.store.table import GrowingTable
from ecotf_recorder.times.clock import Clock, iso_time
from ecotf_recorder.times.trust import NOT_KNOWN

_log = logging.getLogger(__name__)
TABLE_COLUMNS = (*COLUMNS, "time", "time_quality")
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
_ADD_GAP = "INSERT INTO gaps (began, steady, boot, seconds, reason, time_quality) VALUES (?, ?, ?, ?, ?, ?)"
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
        boot, _, quality = (self.database.fact("clock") or "").partition(" ")
        if boot == clock.boot:
            clock.believe(quality)
        committed = int(self.database.fact("csv_bytes") or _UNKNOWN)
        self._table = GrowingTable(folder / "detections.csv", TABLE_COLUMNS, committed if committed > 0 else None)
        self._gaps = GrowingTable(folder / "gaps.csv", GAP_COLUMNS)
        for table in (self._table, self._gaps):
            if table.repaired:
                _log.warning(
                    "%s: %d bytes at its end were left by a power cut and are cut off", table.path, table.repaired
                )
            if table.is_of_other_columns:
                self._put_aside(table, "has other columns than this recorder writes")
            elif self.database.is_new and table.has_rows:  # what is read again would be in it twice
                self._put_aside(table, "belongs to a database that is gone or damaged")
        self._rows: list[Sequence[object]] = []
        self._gap_rows: list[Sequence[object]] = []
        self._waiting: list[tuple[str, Sequence[object]]] = []
        self._stretches = int(self.database.execute("SELECT COALESCE(MAX(id), 0) FROM stretches").fetchone()[0])
        self.detections = int(self.database.execute("SELECT COUNT(*) FROM detections").fetchone()[0])
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
        quality = quality if wall is not None else quality or NOT_KNOWN
        for one in detections:
            when = None if wall is None else wall + one.start_s
            row = [recording, *cells(one)]
            self._rows.append([*row, "" if when is None else iso_time(when), quality])
            self._waiting.append((_ADD_DETECTION, (stretch, *row, when, quality)))
        self.detections += len(detections)

    def reached(self, stretch: int, seconds: float, ended: str | None = None) -> None:
        """Note the length of a stretch and, if it is over, the reason, which may be empty."""
        self._waiting.append((_END_STRETCH, (seconds, ended, stretch)))

    def gap(self, steady: float | None, seconds: float | None, reason: str) -> None:
        """Sound that was meant to be heard and was not; None where it is not known when, or for how long."""
        wall, quality = None if steady is None else self._clock.at(steady), self._clock.said
        length = "" if seconds is None else round(seconds, 3)
        self._gap_rows.append(["" if wall is None else iso_time(wall), length, reason, quality])
        self._waiting.append((_ADD_GAP, (wall, steady, self._clock.boot, seconds, reason, quality)))
        _log.warning("gap of %s s: %s", length if length != "" else "?", reason)

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
            if self._clock.is_set and self._noted_clock != self._clock.quality:
                self.database.remember("clock", f"{self._clock.boot} {self._clock.quality}")
            self.database.commit()
            self._noted_clock = self._clock.quality
        except (OSError, sqlite3.Error) as error:
            self._take_back(size, gap_size)
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
        self._rows, self._gap_rows, self._waiting, self.problem = [], [], [], ""
        return True

    @property
    def needs_dating(self) -> bool:
        """Whether something was heard before the clock was set, and can get its time now."""
        return is_needed(self.database, self._clock)

    def dating(self, clips: Callable[[str, float], Dating] | None = None) -> Dating:
        """Now that the clock is set: name and date what this boot heard before; does some of it at each turn.

        Everything that was added must have been committed; more may be added and committed between two turns.
        """

        def replacing(begins: bool) -> None:
            # Should the power go between the two, the length that the database knows must not cut the new table.
            self.database.remember("csv_bytes", _UNKNOWN if begins else self._table.size)
            self.database.commit()

        return redate(self.database, self._table, self._gaps, self._clock, clips, replacing)

    def close(self) -> None:
        """Keep what can be kept, and close."""
        self.commit()
        self.database.close()

    def _put_aside(self, table: GrowingTable, reason: str) -> None:
        """Begin a table anew; what the database knows of the length of the old one must never cut the new one."""
        self.database.remember("csv_bytes", _UNKNOWN)
        self.database.commit()
        aside = table.put_aside()
        self.database.remember("csv_bytes", self._table.size)
        self.database.commit()
        _log.warning("%s %s; it was kept as %s", table.path, reason, aside.name)

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
