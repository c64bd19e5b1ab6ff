"""The tables of all recorders that were fetched, in one, with the recorder's name."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from ecotf_recorder.strangers import as_cell

from deploy.flash.fetching import NOTES
from ecotf.files import atomic_file, explain_write_errors

TABLES = ("detections", "kept_out", "gaps")
_SAME = ("recording", "start_s", "end_s", "low_hz", "high_hz", "label", "time", "seconds", "reason")


def merge_tables(season: Path) -> dict[str, int]:
    """Write the tables of all recorders below a folder, each kind in one; returns their names and numbers of rows.

    Tables that a recorder put aside are part of it; a row that stands in two of them counts once.
    """
    folders = [notes.parent for notes in sorted(season.glob(f"*/{NOTES}"))]
    written = {}
    for stem in TABLES:
        tables = [(folder, sorted(folder.glob(f"{stem}*.csv"), key=lambda path: len(path.name))) for folder in folders]
        columns: dict[str, None] = {"recorder": None}
        for _, paths in tables:
            for path in paths:
                columns |= dict.fromkeys(next(_rows(path), []))
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
                name = as_cell(_recorder(folder))
                for row in _together(paths):
                    writer.writerow({**row, "recorder": name})
                    n += 1
        written[target.name] = n
    return written


def _together(paths: list[Path]) -> Iterator[dict[str, str]]:
    seen: set[tuple[str, ...]] = set()
    for path in paths:
        rows = _rows(path)
        header = next(rows, [])
        for cells in rows:
            row = dict(zip(header, cells, strict=False))
            if len(paths) > 1:
                key = tuple(row.get(column, "") for column in _SAME)
                if key in seen:
                    continue
                seen.add(key)
            yield row


def _rows(path: Path) -> Iterator[list[str]]:
    """The whole lines of a table; a fetch that was cut off leaves half of one at the end."""
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        yield from csv.reader(line for line in file if line.endswith("\n"))


def _recorder(folder: Path) -> str:
    try:
        return str(json.loads((folder / NOTES).read_text(encoding="utf-8"))["recorder"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.name
