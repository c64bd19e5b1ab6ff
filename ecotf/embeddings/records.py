"""The record of each sound that was embedded: a line of JSON, from which the table is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ecotf.append_only import AppendOnly
from ecotf.errors import ConfigError

NAME = "embedded.jsonl"
_HEADER = b'{"ecotf": "embedded recordings, one a line", "format": 1}\n'


class Place(NamedTuple):
    """A window of a recording.

    Attributes
    ----------
    start_s, end_s
        From where to where, in real seconds; a window that reaches past the end of the recording ends with it.
    label
        Of the annotation that it is of; empty where whole recordings are embedded.
    """

    start_s: float
    end_s: float
    label: str = ""


class Embedded(NamedTuple):
    """One recording that was embedded.

    Attributes
    ----------
    recording, path
        As in the ledger.
    sound
        A digest of its bytes, and of what was embedded of it.
    size, changed_ns
        Of its file, and when it was changed: where both are the same, its bytes are not read again.
    status, reason, duration_s
        As in the ledger.
    first
        The number of its first row among all rows.
    rows
        How many it has.
    hop_s, window_s
        Places of its windows, where they are one after the other.
    places
        Places of its rows, where they are not; several may share a row. The last number of each is the row, from 0.
    """

    recording: str
    path: str
    sound: str
    size: int
    changed_ns: int
    status: str
    reason: str
    duration_s: float
    first: int
    rows: int
    hop_s: float = 0.0
    window_s: float = 0.0
    places: list[tuple[float, float, str, int]] | None = None

    def table(self) -> Iterator[tuple[Place, int]]:
        """Yield each place, and the number of its row among all rows."""
        if self.places is not None:
            for start_s, end_s, label, row in self.places:
                yield Place(start_s, end_s, label), self.first + row
            return
        for row in range(self.rows):
            start_s = round(row * self.hop_s, 6)
            yield Place(start_s, min(round(start_s + self.window_s, 6), round(self.duration_s, 6))), self.first + row


class EmbeddedRecords:
    """The records of a folder of embeddings, appended to as the job goes; a kill leaves whole records.

    Raises
    ------
    ConfigError
        The file is of another version, or another program changed it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._file = AppendOnly(self.path, _HEADER)
        if self._file.header() != _HEADER:
            raise ConfigError(f"{self.path}: is no record of embeddings; give another --output, or --overwrite")

    def __iter__(self) -> Iterator[Embedded]:
        """Yield all records in the order in which they were made; memory holds one."""
        for line, row in enumerate(self._file.rows(), start=2):
            try:
                yield Embedded(**json.loads(row))
            except (ValueError, TypeError):
                raise ConfigError(f"{self.path}: line {line} is damaged, or another program changed it") from None

    def add(self, record: Embedded) -> None:
        """Append a record and wait until it is on the disk."""
        self._file.append(json.dumps(record._asdict(), allow_nan=False).encode("ascii") + b"\n")

    def last_by_path(self) -> dict[str, int]:
        """Return the line of the last record of each real path: an earlier one is of a file that has changed."""
        return {record.path: line for line, record in enumerate(self)}
