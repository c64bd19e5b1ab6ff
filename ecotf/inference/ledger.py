"""The ledger: one row for every input file, with its result."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from ecotf.append_only import AppendOnly, csv_rows, whole_rows
from ecotf.errors import ConfigError, RecordingStatus
from ecotf.inference.compact import CompactMap

NAME = "ledger.csv"
STATUSES: tuple[RecordingStatus, ...] = get_args(RecordingStatus)
FINE: frozenset[RecordingStatus] = frozenset({"done", "silent"})
SETTLED: frozenset[RecordingStatus] = FINE | {"salvaged"}
"""The statuses that a resumed job skips. It reads all others again: a corrupt file may have been copied again."""

_CODES = {status.encode(): code for code, status in enumerate(STATUSES)}
_OLDER = b"recording,status,reason,duration_s,n_detections,seconds_used,path,files\n"
"""The header before ecotf 0.3; such a ledger is gone on with, and says nothing of when its recordings began."""
_CHANGED = "another program changed it; give another --output, or --overwrite"


class Entry(NamedTuple):
    """The result of one recording.

    Attributes
    ----------
    recording
        Its path, as given by the user.
    status, reason
        One of :data:`STATUSES`, and one sentence; empty for ``done``.
    duration_s
        Length in real seconds; NaN where it is not known.
    seconds_used
        Time the work took.
    path
        The real path: links followed, from the root. By it a resumed job knows the file again.
    files
        Where the files of this recording alone are, below the output folder and without their endings.
    began
        When it began, ISO 8601, with its zone where that is known; empty where nothing says it.
    recorder
        The serial number of the recorder; empty where the metadata do not give it.
    """

    recording: str
    status: RecordingStatus
    reason: str = ""
    duration_s: float = math.nan
    n_detections: int = 0
    seconds_used: float = 0.0
    path: str = ""
    files: str = ""
    began: str = ""
    recorder: str = ""


class Brief(NamedTuple):
    """The cells of a row that say which file it is of."""

    recording: str
    status: RecordingStatus
    path: str
    files: str


class Found(NamedTuple):
    """The contents of a ledger: the number of rows of each status, and the wanted rows in their order."""

    counts: dict[RecordingStatus, int]
    rows: list[Brief]


class Known(NamedTuple):
    """What a job must know of all rows, in sixteen bytes each; keys are those of `ecotf.inference.compact.key_of`.

    Attributes
    ----------
    counts
        The number of rows of each status.
    statuses
        The place in :data:`STATUSES` of each path's status.
    named
        The path of each name that stands in the tables.
    owners
        The settled path of each place of files.
    """

    counts: dict[RecordingStatus, int]
    statuses: CompactMap
    named: CompactMap
    owners: CompactMap


class Ledger:
    """``ledger.csv``, one row per input file, on the disk as soon as a recording is settled, so a kill loses nothing.

    Parameters
    ----------
    path
        The CSV file; made if absent.

    Raises
    ------
    ConfigError
        The file was made or changed by another program.
    EcotfError
        The disk is full, or the place cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> ledger = Ledger(Path(tempfile.mkdtemp()) / "ledger.csv")
    >>> ledger.add(Entry("night.wav", "corrupt", "empty file (0 bytes)"))
    >>> [(entry.recording, entry.status) for entry in read_ledger(ledger.path)]
    [('night.wav', 'corrupt')]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        header = csv_rows([Entry._fields])
        self._file = AppendOnly(path, header, quoted=True)
        if self._file.header() == _OLDER:
            self._file.rewrite(header, lambda row: row.rstrip(b"\r\n") + b",,\n")
        if self._file.header() != header:
            raise ConfigError(
                f"{path}: line 1 is not the header of a ledger, {header.decode().strip()}; the file was made by an "
                f"older version, or {_CHANGED}"
            )

    def add(self, *entries: Entry) -> None:
        """Append rows and wait until they are on the disk."""
        for entry in entries:
            if entry.status not in STATUSES:
                raise ValueError(f"status {entry.status!r} is unknown; known: {', '.join(STATUSES)}")
        self._file.append(csv_rows(map(_cells, entries)))

    def look_up(self, paths: Collection[str], names: Collection[str], files: Collection[str]) -> Found:
        """Find the rows that have to do with the recordings of a job; a million rows take half a second.

        Parameters
        ----------
        paths, names, files
            A row is found when its ``path``, its ``recording`` or its ``files`` is among these.
        """
        wanted = {
            column: pa.array([os.fsencode(value) for value in values], pa.binary())
            for column, values in (("path", paths), ("recording", names), ("files", files))
        }
        counts: Counter[str] = Counter()
        rows: list[Brief] = []
        for batch in self._read():
            for pair in pc.value_counts(batch["status"]).to_pylist():
                counts[os.fsdecode(pair["values"])] += pair["counts"]
            hit = reduce(pc.or_, (pc.is_in(batch[column], values) for column, values in wanted.items()))
            chosen = batch.select(list(Brief._fields)).filter(hit)
            rows += [
                Brief._make(map(os.fsdecode, row)) for row in zip(*(c.to_pylist() for c in chosen.columns), strict=True)
            ]
        return Found({status: counts[status] for status in STATUSES}, rows)

    def known(self) -> Known:
        """Read what a job must know of all rows; a million rows take two seconds."""
        columns: dict[str, list[np.ndarray]] = {name: [] for name in Brief._fields}
        for batch in self._read():
            for name in Brief._fields:
                if name == "status":
                    columns[name].append(pc.index_in(batch[name], pa.array(_CODES, pa.binary())).to_numpy())
                else:
                    cells = batch[name].to_numpy(zero_copy_only=False)
                    columns[name].append(np.fromiter(map(hash, cells), np.int64, len(batch)))
        recording, status, path, files = (
            np.concatenate([np.empty(0, np.int64), *columns[name]]) for name in Brief._fields
        )
        counts = np.bincount(status, minlength=len(STATUSES)).tolist()
        settled = np.isin(status, [STATUSES.index(name) for name in SETTLED])
        return Known(
            dict(zip(STATUSES, counts, strict=True)), CompactMap(path, status), CompactMap(recording, path),
            CompactMap(files[settled], path[settled]),
        )  # fmt: skip

    def _read(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches; raises `ConfigError` where a line or a status is none of a ledger."""
        try:
            for batch in _batches(self.path):
                for status in pc.unique(batch["status"]).to_pylist():
                    if status not in _CODES:
                        raise ConfigError(f"{self.path}: status {os.fsdecode(status)!r} is unknown; {_CHANGED}")
                yield batch
        except pa.ArrowInvalid as error:
            raise ConfigError(
                f"{self.path}: not all lines are of a ledger ({str(error).splitlines()[0]}); {_CHANGED}"
            ) from None

    def rows(self) -> Iterator[bytes]:
        """Yield the text of each row."""
        return self._file.rows()

    def forget(self, paths: Collection[str]) -> None:
        """Take out the rows of the recordings with these real paths."""
        at = Entry._fields.index("path")
        self._file.keep(lambda row: next(csv.reader([_text(row)]))[at] not in paths)


def read_ledger(path: str | Path) -> Iterator[Entry]:
    """Read the rows of a ledger one by one, and change nothing: a job may be writing to it.

    A row that a kill cut off is left out; of older ledgers the newer columns are empty.

    Raises
    ------
    ConfigError
        A line was changed by another program, or the file is no ledger.
    """
    rows = whole_rows(path, quoted=True)
    header = next(rows, b"")
    if header not in (_OLDER, csv_rows([Entry._fields])):
        raise ConfigError(f"{path}: line 1 is not the header of a ledger; {_CHANGED}")
    more = [""] * 2 if header == _OLDER else []
    for line, row in enumerate(rows, start=2):
        try:
            cells = [*next(csv.reader([_text(row)])), *more]
            recording, status, reason, duration_s, n_detections, seconds_used, *rest = cells
            numbers = float(duration_s or "nan"), int(n_detections), float(seconds_used)
            if status not in STATUSES or len(cells) != len(Entry._fields):
                raise ValueError(status)
        except ValueError:
            raise ConfigError(f"{path}: line {line} is not of a ledger; {_CHANGED}") from None
        yield Entry(recording, status, reason, *numbers, *rest)


def exit_status(counts: Mapping[RecordingStatus, int]) -> int:
    """Return the exit status of a job: 0 all fine, 1 some files failed, 2 nothing could be done.

    ``done`` and ``silent`` are fine: the recording was listened to from end to end. The others are not: somebody should
    know that there is no answer for that file, or for a part of it (``salvaged``). A job without any file is 2.

    Examples
    --------
    >>> exit_status({"done": 3, "corrupt": 1})
    1
    """
    if not any(counts.get(status) for status in SETTLED):
        return 2
    return 0 if sum(counts.get(status, 0) for status in FINE) == sum(counts.values()) else 1


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the columns of a ledger that :class:`Brief` needs, as bytes, some ten thousand rows at a time."""
    columns = pa_csv.ConvertOptions(
        column_types={name: pa.binary() for name in Brief._fields}, include_columns=list(Brief._fields)
    )
    with pa_csv.open_csv(
        path, convert_options=columns, parse_options=pa_csv.ParseOptions(newlines_in_values=True)
    ) as reader:
        yield from reader


def _text(row: bytes) -> str:
    return row.decode("utf-8", "surrogateescape")


def _cells(entry: Entry) -> list[object]:
    reason = " ".join(entry.reason.split())
    duration = "" if math.isnan(entry.duration_s) else round(entry.duration_s, 6)
    return list(
        entry._replace(reason=reason, duration_s=duration, seconds_used=round(entry.seconds_used, 3))  # type: ignore[arg-type]
    )
