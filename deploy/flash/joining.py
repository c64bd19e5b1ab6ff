"""What recorders heard in folders of files, with an event over the border of two files as one row: ``joined.csv``."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from ecotf_recorder.strangers import from_cell

from deploy.flash.merging import folders_of, recorder_of, tables_of, together
from ecotf.errors import DataError
from ecotf.files import atomic_file, explain_write_errors
from ecotf.inference.compact import key_of
from ecotf.inference.formats import Call, csv_text
from ecotf.inference.joined import COLUMNS, FILE, joined_rows
from ecotf.inference.ledger import FINE, Entry
from ecotf.inference.records import Record

_AT_ONCE = 1000  # rows of live sound, whose one stretch may be a season
_NUMBERS = ("start_s", "end_s", "low_hz", "high_hz", "score", "detection_score")
_Row = dict[str, str]


def join_tables(season: Path) -> dict[str, int]:
    """Write ``joined.csv``, as ``ecotf classify`` does, of all recorders below a folder, with the recorder's name.

    It has every detection of their tables; those of live sound, and of files that ``files.csv`` does not have, are a
    row each. Nothing is written where no recorder read files.

    Returns
    -------
    Its name and number of rows.

    Raises
    ------
    DataError
        A cell of a recorder's table is not what it should be; says which.
    """
    recorders = [(folder, _Files(folder)) for folder in folders_of(season)]
    if not any(files.are_there for _, files in recorders):
        return {}
    target, n = season / FILE, 0
    with explain_write_errors(target), atomic_file(target) as partial, open(partial, "wb") as file:
        file.write(csv_text([("recorder", *COLUMNS)]).encode())
        for folder, files in recorders:
            name, paths = recorder_of(folder), tables_of(folder, "detections")
            for path in paths:  # one by one: a file may be in several of them, heard with different models
                for rows in joined_rows(_Heard(paths, path, files), files):
                    file.write(csv_text((name, *row) for row in rows).encode("utf-8", "surrogateescape"))
                    n += len(rows)
    return {target.name: n}


class _Files:
    """The files that a recorder read, as the rows of a ledger; memory has sixteen bytes for each."""

    def __init__(self, folder: Path) -> None:
        self._paths = tables_of(folder, "files")
        keys, seconds = array("q"), array("d")
        self.are_there = False
        for path, row in together(self._paths):
            self.are_there = True
            if row.get("status") in FINE:
                keys.append(key_of(_recording(row)))
                seconds.append(_number(path, row, "duration_s"))
        self._keys, first, times = np.unique(np.asarray(keys), return_index=True, return_counts=True)
        self._seconds = np.where(times == 1, np.asarray(seconds)[first], math.nan)

    def __contains__(self, recording: str) -> bool:
        at = self._find(recording)
        return at < len(self._keys) and bool(self._keys[at] == key_of(recording))

    def seconds(self, recording: str) -> float:
        """Return the length of a file that was heard; NaN where none was, or several that had its name."""
        return float(self._seconds[self._find(recording)]) if recording in self else math.nan

    def _find(self, recording: str) -> int:
        return int(np.searchsorted(self._keys, key_of(recording)))

    def __iter__(self) -> Iterator[Entry]:
        for path, row in together(self._paths):
            recording, began = _recording(row), row.get("began", "")
            if row.get("status") not in FINE and recording in self:
                continue  # it was refused once, and heard later
            try:
                datetime.fromisoformat(began or "2026-06-21")
            except ValueError:
                raise _not(path, row, "began", "a date and time such as 2026-06-21T22:15:00+02:00") from None
            # One without a name has no events to be joined, but what begins or ends beside it is doubtful.
            name = "" if math.isnan(self.seconds(recording)) else recording
            recorder = from_cell(row.get("serial", "")) or f"{Path(recording).parent}/"
            yield Entry(name, "done", duration_s=_number(path, row, "duration_s"), began=began, recorder=recorder)


class _Heard:
    """The recordings of one of a recorder's tables, each with its detections in order of time."""

    def __init__(self, paths: list[Path], path: Path, files: _Files) -> None:
        self._paths, self._path, self._files = paths, path, files

    def __iter__(self) -> Iterator[Record]:
        own = (row for path, row in together(self._paths) if path == self._path)
        for recording, rows in groupby(own, _recording):
            length = self._files.seconds(recording)
            while some := list(islice(rows, _AT_ONCE) if math.isnan(length) else rows):
                calls = sorted(map(self._call, some), key=lambda one: (one.start_s, one.label))
                yield Record(recording, "", "", "done", "", length, 0.0, 0, calls)

    def _call(self, row: _Row) -> Call:
        start, end, low, high, score, detection_score = (_number(self._path, row, name) for name in _NUMBERS)
        label, time = from_cell(row.get("label", "")), row.get("time", "")
        return Call(start, end, low, high, label, score, detection_score, None, time)


def _recording(row: _Row) -> str:
    return from_cell(row.get("recording", ""))


def _number(path: Path, row: _Row, column: str) -> float:
    cell = row.get(column)
    try:
        return float(cell or "nan")
    except ValueError:
        raise _not(path, row, column, "a number") from None


def _not(path: Path, row: _Row, column: str, wanted: str) -> DataError:
    return DataError(f"{path}: {column} of {_recording(row)!r} is {row[column]!r}, and should be {wanted}")
