"""Clips: the sound around detections as WAV files with GUANO metadata, as long as there is room."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.audio.guano import read_fields, write_fields
from ecotf_recorder.audio.wav import write_wav
from ecotf_recorder.files import atomic_file, disk_is_full
from ecotf_recorder.store.database import Database
from ecotf_recorder.store.quota import ClipRoom
from ecotf_recorder.store.spans import Span
from ecotf_recorder.times.clock import Clock, file_time, iso_time
from ecotf_recorder.times.trust import NOT_KNOWN, REDATED

_log = logging.getLogger(__name__)
_HEADER_AND_NOTES = 4096  # bytes, at most as a rule
_UNSET_FOLDER = "unset-clock"
_UNDATED_FOLDER = "undated"
_ADD = (
    "INSERT OR REPLACE INTO clips (path, bytes, began, steady, boot, seconds, label, score) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True)
class Origin:
    """Origin of a stretch: its name, its beginning by both clocks if known, and why its wall time is right."""

    recording: str
    wall: float | None
    steady: float | None
    quality: str = NOT_KNOWN


class ClipKeeper:
    """Writes clips and looks after their room.

    Parameters
    ----------
    notes
        GUANO fields that are the same for all: location, model, recorder.

    Attributes
    ----------
    written, skipped, with_voices
        How many since the start: kept, without room, and dropped because there is a human voice in them.
    problem
        Why clips are not written; empty while they are.
    """

    def __init__(
        self, room: ClipRoom, database: Database, clock: Clock, sample_rate: int, notes: Mapping[str, str]
    ) -> None:
        self._room, self._database, self._clock = room, database, clock
        self._rate, self._notes = sample_rate, dict(notes)
        self.written = self.skipped = self.with_voices = 0
        self.problem = ""

    def write(self, origin: Origin, span: Span, start: int, samples: NDArray[np.int16]) -> None:
        """Write the clip of a span whose sound begins with sample ``start`` of its stretch."""
        best = span.best
        offset_s = start / self._rate
        wall = None if origin.wall is None else origin.wall + offset_s
        steady = None if origin.steady is None else origin.steady + offset_s
        if wall is not None:
            name, place = file_time(wall), file_time(wall)[:8]
        elif steady is not None:
            name, place = self._clock.name(steady), _UNSET_FOLDER
        else:  # of a file that does not say when it began
            name, place = f"{_plain(origin.recording)[-50:]}-{offset_s:.3f}", _UNDATED_FOLDER
        path = Path(place, f"{name}_{_plain(best.label)}_{best.score:.3f}.wav")
        fields = self._fields(origin, span, offset_s, len(samples), wall)
        target = self._room.folder / path
        try:
            if not self._room.make(samples.nbytes + _HEADER_AND_NOTES, best.score):
                self._skip("no room for clips: they are at their quota, or the disk at its reserve")
                return
            if target.exists():  # of a file that is read again
                self._room.used -= target.stat().st_size
            with atomic_file(target) as partial:
                write_wav(partial, samples, self._rate)
                write_fields(partial, fields)
            size = target.stat().st_size
        except OSError as error:
            self._skip(
                "disk full: detections go on without clips" if disk_is_full(error) else f"clips: {error.strerror}"
            )
            return
        except sqlite3.Error as error:
            self._skip(f"clips: {error}")
            return
        row = (path.as_posix(), size, wall, steady, self._clock.boot, len(samples) / self._rate, best.label, best.score)
        try:
            self._database.execute(_ADD, row)
        except sqlite3.Error as error:
            target.unlink(missing_ok=True)
            self._skip(f"clips: {error}")
            return
        self._room.used += size
        self.written += 1
        if self.problem:
            _log.info("clips are written again")
        self.problem = ""

    def date(self, boot: str, offset: float) -> Generator[None, None, None]:
        """Rename the clips of a boot that were written before the clock was set, one at each turn."""
        query = "SELECT id, path, steady FROM clips WHERE began IS NULL AND steady IS NOT NULL AND boot = ?"
        for clip, path, steady in self._database.execute(query, (boot,)).fetchall():
            wall = steady + offset
            old = self._room.folder / path
            if not old.exists():
                continue
            ending = old.name.partition("_")[2]
            new = Path(file_time(wall)[:8], f"{file_time(wall)}_{ending}")
            target = self._room.folder / new
            fields = read_fields(old) | {"Timestamp": iso_time(wall), "ecotf|Clock": REDATED}
            with atomic_file(target) as partial:
                partial.write_bytes(old.read_bytes())
                write_fields(partial, fields)
            try:
                change = "UPDATE clips SET path = ?, began = ? WHERE id = ?"
                self._database.execute(change, (new.as_posix(), wall, clip))
                self._database.commit()
            except sqlite3.Error as error:
                target.unlink(missing_ok=True)
                _log.warning("clip %s keeps its name (%s)", path, error)
                continue
            old.unlink()
            yield

    def _fields(self, origin: Origin, span: Span, offset_s: float, n: int, wall: float | None) -> dict[str, str]:
        labels = sorted({one.label for one in span.detections})
        calls = "; ".join(
            f"{one.start_s - offset_s:.4f} {one.end_s - offset_s:.4f} {one.low_hz:.0f} {one.high_hz:.0f} "
            f"{one.label} {one.score:.4f}"
            for one in span.detections
        )
        return {
            **({"Timestamp": iso_time(wall)} if wall is not None else {}),
            "ecotf|Clock": origin.quality,
            "Samplerate": str(self._rate),
            "Length": f"{n / self._rate:.6f}",
            **self._notes,
            "Species Auto ID": ", ".join(labels),
            "ecotf|Score": f"{span.best.score:.4f}",
            "ecotf|Recording": origin.recording,
            "ecotf|Detections": calls,
        }

    def _skip(self, problem: str) -> None:
        self.skipped += 1
        if problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem


def _plain(label: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", label).strip("-") or "call"
