"""The tables that hold the detections of a whole job, and reading them back."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ecotf.files import atomic_file
from ecotf.inference.formats import REQUIRED, Call, csv_text
from ecotf.strangers import from_cell

COLUMNS = ("recording", *Call._fields)
PUBLISHED_COLUMNS = ("file_name", "predicted_time", "predicted_species", "predicted_prob")
_TYPES = {"recording": pa.string(), "label": pa.string(), "channel": pa.int64(), "time": pa.string()}
_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.float64())) for name in COLUMNS])
_ROW_GROUP = 50_000

Row = tuple[str, Call]


def read_csv(path: Path) -> Iterator[Row]:
    """Read a table written by :func:`write_csv` row by row, by the names in its header; a torn row is left out."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        for cells in reader:
            try:
                yield _row(dict(zip(names, map(from_cell, cells), strict=True)))
            except (ValueError, KeyError):
                continue


def _row(cells: Mapping[str, str]) -> Row:
    start, end, low, high, score = (float(cells[name] or "nan") for name in REQUIRED if name != "label")
    channel = cells.get("channel")
    detection_score = float(cells.get("detection_score") or "nan")
    call = Call(start, end, low, high, cells["label"], score, detection_score, int(channel) if channel else None,
                cells.get("time", ""))  # fmt: skip
    return cells["recording"], call


def read_parquet(path: Path) -> Iterator[Row]:
    """Read a table written by :func:`write_parquet`, one row group at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=list(COLUMNS)):
            for row in batch.to_pylist():
                yield row.pop("recording"), Call(**row)


def write_csv(rows: Iterable[Row], path: Path, root: Path) -> None:
    """Write our own columns."""
    with atomic_file(path) as partial, partial.open("wb") as file:
        file.write(_csv([COLUMNS]))
        for recording, call in rows:
            file.write(_csv([_cells(recording, call)]))


def write_published_csv(rows: Iterable[Row], path: Path, root: Path) -> None:
    """Write the published system's table: one row per call, real seconds and scores with three decimals.

    ``file_name`` is relative to ``root``, the folder that all recordings lie in.
    """
    with atomic_file(path) as partial, open(partial, "wb") as file:
        file.write(_csv([PUBLISHED_COLUMNS]))
        for recording, call in rows:
            name = os.path.relpath(os.path.abspath(recording), root)
            file.write(_csv([(name, f"{call.start_s:.3f}", call.label, f"{call.score:.3f}")]))


def write_parquet(rows: Iterable[Row], path: Path, root: Path) -> None:
    """Write our own columns as Parquet, one row group at a time."""
    rows = iter(rows)
    with atomic_file(path) as partial, pq.ParquetWriter(partial, _SCHEMA) as writer:
        while group := list(islice(rows, _ROW_GROUP)):
            writer.write_table(parquet_table(group))


def parquet_table(rows: Sequence[Row], about: Mapping[str, str] | None = None) -> pa.Table:
    """Make a table with our own columns; ``about`` goes into its metadata."""
    columns = zip(zip(*((_utf8(recording), *call) for recording, call in rows), strict=True), _SCHEMA, strict=True)
    table = pa.table([pa.array(column, field.type) for column, field in columns], schema=_SCHEMA)
    return table.replace_schema_metadata(about) if about else table


def _cells(recording: str, call: Call) -> list[str | float]:
    values = (recording, *call)
    # What is not known is an empty cell, not "nan".
    return ["" if value is None or value != value else value for value in values]


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    # Names from old recorders need not be UTF-8; their bytes pass through unharmed.
    return csv_text(rows).encode("utf-8", "surrogateescape")


def _utf8(name: str) -> str:
    """Parquet holds only UTF-8; a byte that is not shows as the replacement character."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
