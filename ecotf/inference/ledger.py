"""The ledger: one row for every input file, whatever became of it."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, get_args

from ecotf.errors import RecordingStatus
from ecotf.files import atomic_file, explain_write_errors, lock, unlock

STATUSES: tuple[RecordingStatus, ...] = get_args(RecordingStatus)
FINE: frozenset[RecordingStatus] = frozenset({"done", "silent"})
# A restart looks again at the rest: a corrupt file may have been copied anew, an unsupported one explained.
SETTLED: frozenset[RecordingStatus] = FINE | {"short"}


class Entry(NamedTuple):
    """What became of one recording."""

    recording: str
    status: RecordingStatus
    reason: str = ""
    duration_s: float = math.nan
    n_detections: int = 0
    seconds_used: float = 0.0


class Ledger:
    """``ledger.csv``, one row per input file, written as the job goes, so that a kill loses nothing.

    Add a recording's row after its detections are written. Two jobs cannot use one ledger at the same time.

    Parameters
    ----------
    path
        The CSV file; its folder is made if absent.
    resume
        Keep the rows of an earlier job that are settled (done, silent, short) and drop the others, which the new job
        looks at again. Without it the ledger begins anew.

    Raises
    ------
    ConfigError
        Another job is writing to this ledger.
    EcotfError
        The disk is full, or the place cannot be written to.
    """

    def __init__(self, path: str | Path, resume: bool = False) -> None:
        self.path = Path(path)
        self._counts: dict[RecordingStatus, int] = dict.fromkeys(STATUSES, 0)
        with explain_write_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._held = lock(
            self.path.with_name(f".{self.path.name}.lock"),
            f"{self.path}: another job is writing here (process {{pid}})",
        )
        try:
            kept = [entry for entry in read_ledger(self.path) if entry.status in SETTLED] if resume else []
            with atomic_file(self.path) as partial:
                partial.write_bytes(_csv([Entry._fields, *map(_cells, kept)]))
        except BaseException:
            self.close()
            raise
        for entry in kept:
            self._count(entry)

    def add(
        self,
        recording: str,
        status: RecordingStatus,
        reason: str = "",
        duration_s: float = math.nan,
        n_detections: int = 0,
        seconds_used: float = 0.0,
    ) -> None:
        """Append one row and hand it to the disk.

        Parameters
        ----------
        recording
            Its path, as given by the user.
        status
            One of :data:`STATUSES`.
        reason
            One sentence; empty for ``done``.
        duration_s
            Length in real seconds; NaN where it is not known.
        seconds_used
            Time the work took.
        """
        if status not in STATUSES:
            raise ValueError(f"status {status!r} is unknown; known: {', '.join(STATUSES)}")
        entry = Entry(recording, status, reason, duration_s, n_detections, seconds_used)
        size = os.path.getsize(self.path)
        try:
            with explain_write_errors(self.path), open(self.path, "ab") as file:
                file.write(_csv([_cells(entry)]))
        except BaseException:
            os.truncate(self.path, size)
            raise
        self._count(entry)

    def summary(self) -> dict[RecordingStatus, int]:
        """How many recordings ended in each status, all statuses named."""
        return dict(self._counts)

    def close(self) -> None:
        """Let other jobs use the ledger."""
        unlock(self._held)

    def __enter__(self) -> Ledger:
        """Return the ledger itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _count(self, entry: Entry) -> None:
        self._counts[entry.status] += 1


def read_ledger(path: str | Path) -> list[Entry]:
    """Read the rows of a ledger; empty if there is none. A row that a kill cut off is left out."""
    entries = []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            for cells in islice(csv.reader(file), 1, None):
                try:
                    recording, status, reason, duration_s, n_detections, seconds_used = cells
                    numbers = float(duration_s or "nan"), int(n_detections), float(seconds_used)
                except ValueError:
                    continue
                if status in STATUSES:
                    entries.append(Entry(recording, status, reason, *numbers))
    except FileNotFoundError:
        return []
    return entries


def done_recordings(path: str | Path) -> set[str]:
    """The recordings that a restart skips: done, silent and short ones."""
    return {entry.recording for entry in read_ledger(path) if entry.status in SETTLED}


def exit_status(counts: Ledger | Mapping[RecordingStatus, int]) -> int:
    """The exit status of a job: 0 all fine, 1 some files failed, 2 nothing could be done.

    ``done`` and ``silent`` are fine: the recording was listened to from end to end. ``short``, ``corrupt``,
    ``unsupported`` and ``failed`` are not: somebody should know that there is no answer for that file. A job without
    any file is 2.
    """
    counts = counts.summary() if isinstance(counts, Ledger) else counts
    fine = sum(number for status, number in counts.items() if status in FINE)
    if fine == 0:
        return 2
    return 0 if fine == sum(counts.values()) else 1


def _cells(entry: Entry) -> list[object]:
    reason = " ".join(entry.reason.split())
    duration = "" if math.isnan(entry.duration_s) else round(entry.duration_s, 6)
    seconds = round(entry.seconds_used, 3)
    return [entry.recording, entry.status, reason, duration, entry.n_detections, seconds]


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
