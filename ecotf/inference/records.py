"""The detections of each finished recording: one line of JSON each, from which every table can be written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ecotf.append_only import AppendOnly, whole_rows
from ecotf.errors import ConfigError, RecordingStatus
from ecotf.inference.formats import Call

NAME = "job.jsonl"
_NUMBERS = ("start_s", "end_s", "low_hz", "high_hz", "score", "detection_score")
_HEADER = b'{"ecotf": "what was found, one recording a line", "format": 1}\n'


class Record(NamedTuple):
    """One settled recording.

    Attributes
    ----------
    recording, path, files
        As in :class:`~ecotf.inference.ledger.Entry`.
    sample_rate
        The real rate in Hz.
    calls
        The detections, in order of time.
    segments
        The score of every class in every segment, ``[segments][classes]``; None where no format needs it.
    """

    recording: str
    path: str
    files: str
    status: RecordingStatus
    reason: str
    duration_s: float
    seconds_used: float
    sample_rate: int
    calls: list[Call]
    segments: list[list[float]] | None = None


class Records:
    """The records of a job, appended to as the job goes; a kill leaves whole records.

    Raises
    ------
    ConfigError
        The file is of another version, or another program changed it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = AppendOnly(path, _HEADER)
        if self._file.header() != _HEADER:
            raise ConfigError(f"{path}: is not the record of a job; give another --output, or --overwrite")

    def __len__(self) -> int:
        """Return the number of finished recordings."""
        return self._file.count()

    def __iter__(self) -> Iterator[Record]:
        """Yield all records in the order in which they were finished; memory holds one."""
        for line, row in enumerate(self._file.rows(), start=2):
            yield self._read(row, f"line {line}")

    def add(self, *records: Record) -> None:
        """Append records and wait until they are on the disk."""
        self._file.append(b"".join(map(_line, records)))

    def take_back(self, record: Record) -> None:
        """Remove the record that was added last."""
        self._file.take_back(_line(record))

    def last(self, n: int) -> list[Record]:
        """Return the records that were added last."""
        return [self._read(row, "one of the last lines") for row in self._file.last(n)]

    def after(self, start: int) -> Iterator[tuple[Record, int]]:
        """Yield each record from a byte on (0: the first record) with the byte behind it."""
        for row, end in self._file.rows_from(start):
            yield self._read(row, f"byte {end}"), end

    def _read(self, row: bytes, where: str) -> Record:
        return _record(row, f"{self.path}: {where}")


def read_records(path: str | Path) -> Iterator[Record]:
    """Read the records of a job, and change nothing: the job may be writing to it; a row that is cut off is left out.

    Raises
    ------
    ConfigError
        The file is of another version, or another program changed it.
    """
    rows = whole_rows(path)
    if next(rows, b"") != _HEADER:
        raise ConfigError(f"{path}: is not the record of a job")
    for line, row in enumerate(rows, start=2):
        yield _record(row, f"{path}: line {line}")


def _record(row: bytes, where: str) -> Record:
    try:
        values: dict[str, Any] = json.loads(row)
        calls = [_call(cells) for cells in values.pop("calls")]
        values["duration_s"] = _nan(values["duration_s"])
        return Record(**values, calls=calls)
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{where} is damaged or another program changed it; give another --output, or --overwrite"
        ) from None


def _line(record: Record) -> bytes:
    values = record._asdict()
    values["duration_s"] = _plain(record.duration_s)
    values["calls"] = [[_plain(cell) for cell in call] for call in record.calls]
    return json.dumps(values, allow_nan=False).encode("ascii") + b"\n"


def _call(cells: list[Any]) -> Call:
    return Call._make(
        _nan(value) if name in _NUMBERS else value for name, value in zip(Call._fields, cells, strict=True)
    )


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
