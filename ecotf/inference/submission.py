"""The table of a BirdCLEF submission: one row for each five seconds, with the score of every class."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from ecotf.errors import ConfigError
from ecotf.files import atomic_file

NAME = "submission"
_FILE = "submission.csv"
_JOURNAL = "submission.csv.partial"


class SubmissionWriter:
    """Writes ``submission.csv`` into a folder; until :meth:`close` the rows are in a journal.

    Parameters
    ----------
    classes
        The columns after ``row_id``.
    keep
        None begins anew; otherwise the recordings whose rows stay.
    """

    def __init__(self, folder: Path, classes: Sequence[str], keep: Collection[str] | None = None) -> None:
        self.folder, self.classes = folder, list(classes)
        folder.mkdir(parents=True, exist_ok=True)
        self._journal = folder / _JOURNAL
        older = self._older(keep) if keep else []
        with atomic_file(self._journal) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["row_id", *self.classes], *older])

    def add(self, recording: str, probabilities: np.ndarray, segment_s: float) -> None:
        """Add the rows of a recording, ``[rows, classes]``."""
        stem = Path(recording).stem
        rows = [[f"{stem}_{row_end(i, segment_s)}", *(f"{p:.6g}" for p in own)] for i, own in enumerate(probabilities)]
        with self._journal.open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)

    def close(self) -> Path:
        """Give the table its name."""
        path = self.folder / _FILE
        self._journal.replace(path)
        return path

    def _older(self, keep: Collection[str]) -> list[list[str]]:
        stems = {Path(name).stem for name in keep}
        for path in (self._journal, self.folder / _FILE):
            if path.exists():
                with path.open(newline="", encoding="utf-8") as stream:
                    rows = [row for row in csv.reader(stream) if row]
                if not rows:
                    continue
                head = rows.pop(0)
                if head != ["row_id", *self.classes]:
                    raise ConfigError(f"{path}: has other classes than the model; begin in an empty folder")
                # The last line may be cut off by a kill; its recording is not among those that are kept.
                return [row for row in rows if len(row) == len(head) and row[0].rpartition("_")[0] in stems]
        raise ConfigError(
            f"{self.folder}: the rows of finished recordings are not there; start again in an empty folder"
        )


def row_end(row: int, segment_s: float) -> str:
    """The end of a row in seconds, as it stands in ``row_id``."""
    return f"{(row + 1) * segment_s:g}"


def check_stems(recordings: Iterable[str]) -> None:
    """Refuse recordings whose rows could not be told apart; raises `ConfigError`."""
    seen: dict[str, str] = {}
    for name in recordings:
        other = seen.setdefault(Path(name).stem, name)
        if other != name:
            raise ConfigError(f"format submission: {other} and {name} would have the same row_id; rename one of them")
