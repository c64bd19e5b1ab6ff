"""The detections of a job as a Parquet data set: ``detections/site=.../date=.../part-*.parquet``.

Each part is written whole or not at all. A group of parts holds a run of records, and counts when a line of the journal
says so; parts that no line names were left by a kill, and the next job removes them and writes them again.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ecotf.append_only import AppendOnly, whole_rows
from ecotf.errors import ConfigError, DataError
from ecotf.files import PARTIAL_PREFIX, atomic_file
from ecotf.inference.formats import Call
from ecotf.inference.records import Records
from ecotf.inference.tables import parquet_table

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.inference.question import Question

NAME = "dataset"
FOLDER = "detections"
JOURNAL = f"{FOLDER}/_parts.jsonl"
UNKNOWN = "__HIVE_DEFAULT_PARTITION__"
"""The name of a partition whose value is not known; readers of such data sets make it NULL."""
MOST_ROWS = 200_000
"""Rows that are sorted into parts at a time."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class DatasetWriter:
    """Writes the records of a job into parts, from where the journal ends.

    Parameters
    ----------
    folder
        The output folder of the job.
    asked
        Its question: every part says by which runs it was written.
    """

    def __init__(self, folder: Path, asked: Question) -> None:
        self._folder = folder / FOLDER
        self._about = {"runs": sorted(asked.runs.values()), "answers": asked.answers, "options": asked.options}
        header = json.dumps({"ecotf": "parts of a data set of detections", "format": 1, **self._about}) + "\n"
        self._journal = AppendOnly(folder / JOURNAL, header.encode())
        self._until, self._parts = 0, 0
        known = set()
        for row in self._journal.rows():
            line = json.loads(row)
            self._until, self._parts = line["until"], self._parts + 1
            known.update(line["parts"])
        for path in self._folder.rglob("*.parquet"):
            if path.name.startswith(PARTIAL_PREFIX) or str(path.relative_to(self._folder)) not in known:
                path.unlink()

    def catch_up(self, records: Records) -> None:
        """Write all records that are not in parts; memory holds `MOST_ROWS` rows and a record."""
        rows: dict[tuple[str, str], list[tuple[str, Call]]] = defaultdict(list)
        count, end = 0, self._until
        for record, end in records.after(self._until):
            site = Path(os.path.abspath(record.recording)).parent.name
            for call in record.calls:
                found = _DATE.match(call.time)
                rows[site, found[0] if found else UNKNOWN].append((record.recording, call))
            count += len(record.calls)
            if count >= MOST_ROWS:
                self._write(rows, end)
                rows, count = defaultdict(list), 0
        if end > self._until:
            self._write(rows, end)

    def _write(self, rows: dict[tuple[str, str], list[tuple[str, Call]]], end: int) -> None:
        import pyarrow.parquet as pq

        names = []
        for (site, date), found in sorted(rows.items()):
            # As Hive and Spark write them: what may not stand in a path, or would be taken for a part of it, as %2F.
            name = f"site={quote(site, safe=' ') or UNKNOWN}/date={date}/part-{self._parts:06d}.parquet"
            with atomic_file(self._folder / name) as partial:
                pq.write_table(parquet_table(found, {"ecotf": json.dumps(self._about)}), partial)
            names.append(name)
        line = {"until": end, "rows": sum(map(len, rows.values())), "parts": names}
        self._journal.append(json.dumps(line).encode() + b"\n")
        self._until, self._parts = end, self._parts + 1


def read_dataset(folder: str | Path) -> pd.DataFrame:
    """Read a data set of detections: the columns of detections, ``site`` and ``date``, in order of writing.

    Parameters
    ----------
    folder
        The output folder of a job, or the ``detections`` in it.

    Raises
    ------
    ConfigError
        There is none, or another program changed it.
    DataError
        A part is missing or half written, is of no job, or was written by other models than the others.

    Examples
    --------
    >>> read_dataset("detections/").groupby(["site", "date", "label"]).size()  # doctest: +SKIP
    """
    import pandas as pd

    tables = [table for _, table in iter_dataset(folder)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["recording", *Call._fields])


def iter_dataset(folder: str | Path) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Yield each part with its table, as `read_dataset`, one at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = Path(folder)
    root = root / FOLDER if (root / JOURNAL).exists() else root
    journal = root / Path(JOURNAL).name
    if not journal.exists():
        raise ConfigError(f"{folder}: no data set of detections (looked for {JOURNAL})")
    rows = whole_rows(journal)
    try:
        about = json.loads(next(rows))
        names = [name for row in rows for name in json.loads(row)["parts"]]
    except (ValueError, KeyError, StopIteration):
        raise ConfigError(f"{journal}: damaged, or another program changed it") from None
    strange = sorted(set(_parts_in(root)) - set(names))
    if strange:
        raise DataError(
            f"{root / strange[0]}: is in no line of {journal.name}: left by a job that was killed, which --resume "
            "puts right, or of another one"
        )
    for name in names:
        path = root / name
        try:
            with pq.ParquetFile(path) as file:
                kept = json.loads((file.schema_arrow.metadata or {}).get(b"ecotf", b"{}"))
                table = file.read().replace_schema_metadata().to_pandas()
        except FileNotFoundError:
            raise DataError(f"{path}: is missing; the data set is not whole") from None
        except (pa.ArrowException, OSError, ValueError):
            raise DataError(f"{path}: is half written or damaged; the data set is not whole") from None
        if kept.get("runs") != about.get("runs"):
            raise DataError(
                f"{path}: was written by {_model(kept)}, the data set by {_model(about)}; their scores do not compare"
            )
        site, date = (_value(part) for part in Path(name).parts[:2])
        yield path, table.assign(site=site, date=date)


def _parts_in(root: Path) -> Iterator[str]:
    return (str(path.relative_to(root)) for path in root.rglob("*.parquet") if not path.name.startswith(PARTIAL_PREFIX))


def _model(about: dict[str, Any]) -> str:
    sums = ", ".join(checksum[:8] for checksum in about.get("runs", [])) or "none"
    return f"{about.get('answers', 'another program')} (checksum {sums})"


def _value(partition: str) -> str | None:
    from urllib.parse import unquote

    text = partition.partition("=")[2]
    return None if text == UNKNOWN else unquote(text)
