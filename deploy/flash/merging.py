"""The tables of all recorders that were fetched, in one, with the recorder's name."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from ecotf_recorder.strangers import as_cell

from deploy.flash.fetching import NOTES
from ecotf.files import atomic_file, explain_write_errors

TABLES = ("detections", "kept_out", "files", "gaps")
_SAME = (
    "recording", "start_s", "end_s", "low_hz", "high_hz", "label", "time", "seconds", "reason", "duration_s", "began",
)  # fmt: skip


def merge_tables(season: Path) -> dict[str, int]:
    """Write the tables of all recorders below a folder, each kind in one; returns their names and numbers of rows.

    Tables that a recorder put aside are part of it; a row that stands in two of them counts once.
    """
    folders = folders_of(season)
    written = {}
    for stem in TABLES:
        tables = [(folder, tables_of(folder, stem)) for folder in folders]
        columns: dict[str, None] = {"recorder": None}
        for _, paths in tables:
            for path in paths:
                columns |= dict.fromkeys(next(_lines(path), []))
        if len(columns) == 1:
            continue
        target = season / f"{stem}.csv"
        with (
            explain_write_errors(target),
            atomic_file(target) as partial,
            open(partial, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            writer = csv.DictWriter(file, list(columns), "", lineterminator="\n")
            writer.writeheader()
            n = 0
            for folder, paths in tables:
                name = as_cell(recorder_of(folder))
                for _, row in together(paths):
                    writer.writerow({**row, "recorder": name})
                    n += 1
        written[target.name] = n
    return written


def folders_of(season: Path) -> list[Path]:
    """Return the folders of all recorders that were fetched."""
    return [notes.parent for notes in sorted(season.glob(f"*/{NOTES}"))]


def recorder_of(folder: Path) -> str:
    """Return the name of the recorder whose folder it is."""
    try:
        return str(json.loads((folder / NOTES).read_text(encoding="utf-8"))["recorder"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.name


def tables_of(folder: Path, stem: str) -> list[Path]:
    """Return a recorder's tables of one kind: the one that grows, and then those that were put aside."""
    return sorted(folder.glob(f"{stem}*.csv"), key=lambda path: (len(path.name), path.name))


def together(paths: list[Path]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield the rows of tables with the table that each is in; of rows in several of them the first alone."""
    seen: set[int] = set()
    for path in paths:
        rows = _lines(path)
        header = next(rows, [])
        for cells in rows:
            row = dict(zip(header, cells, strict=False))
            if len(paths) > 1:
                key = hash(tuple(row.get(column, "") for column in _SAME))  # a tenth of the memory
                if key in seen:
                    continue
                seen.add(key)
            yield path, row


def _lines(path: Path) -> Iterator[list[str]]:
    """The whole lines of a table; a fetch that was cut off leaves half of one at the end."""
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        yield from csv.reader(line for line in file if line.endswith("\n"))
