"""Room for clips: a quota, a reserve on the disk, and which clips go first."""

from __future__ import annotations

import logging
from pathlib import Path

from ecotf_recorder.files import PARTIAL_PREFIX, free_bytes, remove_partials
from ecotf_recorder.store.database import Database

_log = logging.getLogger(__name__)
# The least sure tenth of scores goes first, and of one tenth the oldest.
_FIRST_TO_GO = "SELECT id, path, bytes, score FROM clips ORDER BY CAST(score * 10 AS INTEGER), id LIMIT 1"


def make_first_room(folder: Path, least: float = 8e6) -> int:
    """Before anything is opened on a full disk: remove the least sure clips until ``least`` bytes are free."""
    removed = 0
    if folder.is_dir() and free_bytes(folder) < least:
        for path in sorted(folder.rglob("*.wav"), key=lambda path: (int(_score_in(path.name) * 10), path.name)):
            path.unlink(missing_ok=True)
            removed += 1
            if free_bytes(folder) >= least:
                break
        _log.warning("the disk was full; %d clips gave way", removed)
    return removed


class ClipRoom:
    """Keeps the folder of clips below its quota, and the disk above its reserve.

    Parameters
    ----------
    folder
        Of the clips; all paths in the database are below it.
    quota, reserve
        In bytes.
    """

    def __init__(self, folder: Path, database: Database, quota: float, reserve: float) -> None:
        self.folder, self._database = folder, database
        self._quota, self._reserve = quota, reserve
        folder.mkdir(parents=True, exist_ok=True)
        self.used = 0
        self.reconcile()

    def make(self, size: int, score: float) -> bool:
        """Make room for a clip; False where only better clips could give way, or nothing helps."""
        while self.used + size > self._quota or free_bytes(self.folder) - size < self._reserve:
            row = self._database.execute(_FIRST_TO_GO).fetchone()
            if row is None or int(row[3] * 10) > int(score * 10) or size > self._quota:
                return False
            self.remove(row[0], row[1], row[2])
        return True

    def free_some(self) -> bool:
        """Give the disk room for detections: the first clip to go goes; False where there is none."""
        row = self._database.execute(_FIRST_TO_GO).fetchone()
        if row is not None:
            self.remove(row[0], row[1], row[2])
        return row is not None

    def remove(self, clip: int, path: str, size: int) -> None:
        """Remove a clip."""
        self._database.execute("DELETE FROM clips WHERE id = ?", (clip,))
        (self.folder / path).unlink(missing_ok=True)
        self.used -= size
        _log.debug("clip %s gave way", path)

    def reconcile(self) -> None:
        """After a power cut: forget clips that are gone, know those that were written but not noted."""
        for folder in [self.folder, *(path for path in self.folder.iterdir() if path.is_dir())]:
            remove_partials(folder)
        there = {
            path.relative_to(self.folder).as_posix(): path.stat().st_size
            for path in self.folder.rglob("*.wav") if not path.name.startswith(PARTIAL_PREFIX)
        }  # fmt: skip
        known = dict(self._database.execute("SELECT path, id FROM clips").fetchall())
        for path in known.keys() - there.keys():
            self._database.execute("DELETE FROM clips WHERE id = ?", (known[path],))
        for path in sorted(there.keys() - known.keys()):
            row = (path, there[path], "", _score_in(path))
            self._database.execute("INSERT INTO clips (path, bytes, label, score) VALUES (?, ?, ?, ?)", row)
        self._database.commit()
        self.used = sum(there.values())


def _score_in(path: str) -> float:
    """The score at the end of a clip's name."""
    try:
        return float(path.removesuffix(".wav").rpartition("_")[2])
    except ValueError:
        return 0.0
