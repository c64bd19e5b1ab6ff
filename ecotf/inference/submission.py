"""The table of a BirdCLEF submission: one row for each segment, with the score of every class."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.inference.records import Record

NAME = "submission"
FILE = "submission.csv"


def write_submission(folder: Path, classes: Sequence[str], segment_s: float, records: Iterable[Record]) -> Path:
    """Write ``submission.csv`` into ``folder``; memory holds one recording.

    Parameters
    ----------
    classes
        The columns after ``row_id``.
    segment_s
        Length of a segment in seconds.
    """
    path = folder / FILE
    with (
        atomic_file(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["row_id", *classes])
        for record in records:
            stem = Path(record.recording).stem
            for number, scores in enumerate(record.segments or ()):
                writer.writerow([f"{stem}_{row_end(number, segment_s)}", *(f"{score:.6g}" for score in scores)])
    return path


def row_end(row: int, segment_s: float) -> str:
    """Write the end of a segment in seconds, as ``row_id`` needs it."""
    return f"{(row + 1) * segment_s:g}"


def check_stems(recordings: Iterable[str]) -> None:
    """Refuse recordings whose rows would have the same name; raises `ConfigError`."""
    seen: dict[str, str] = {}
    for name in recordings:
        other = seen.setdefault(Path(name).stem, name)
        if other != name:
            raise ConfigError(f"format submission: {other} and {name} would have the same row_id; rename one of them")
