"""Whether a manifest fits its recordings: the files are there, and no annotation reaches past the end of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError

END_TOLERANCE_S = 0.010  # annotation programs round; a box may end this far past the last sample


class HasDuration(Protocol):
    """Anything that knows its length in real seconds."""

    @property
    def duration_s(self) -> float:
        """Length in seconds of real time."""


class OpensRecordings(Protocol):
    """Open a recording, as :func:`ecotf.audio.recording.open_recording` does."""

    def __call__(self, path: Path, *, time_expansion: float | None) -> HasDuration:
        """Open the file, with the time expansion that the manifest states, if it does."""


def require_files(manifest: Manifest) -> None:
    """Refuse a manifest that names files which are not there.

    Raises
    ------
    DataError
        How many are missing and the first of them.
    """
    missing = manifest.missing_files()
    if missing:
        raise DataError(
            f"{len(missing)} of {len(manifest.recordings)} recordings are missing; the first is "
            f"{str(manifest.path_of(missing[0]))!r}"
        )


def check_recordings(manifest: Manifest, durations: Mapping[str, float]) -> None:
    """Refuse annotations that reach past the end of their recording by more than 10 ms.

    Parameters
    ----------
    durations
        Recording to its length in real seconds; recordings that are not in it are not checked.

    Raises
    ------
    DataError
        How many annotations, and the first of them with both times.
    """
    table = manifest.table
    length = table["recording"].map(dict(durations)).astype("float64")
    past = table[table["end_s"].fillna(table["start_s"]) > length + END_TOLERANCE_S]
    if len(past):
        row = past.iloc[0]
        number = "1 annotation reaches" if len(past) == 1 else f"{len(past)} annotations reach"
        raise DataError(
            f"{number} past the end of the recording; the first: {row['recording']!r} has "
            f"{row['start_s']:g} to {row['end_s']:g} s and ends at {durations[row['recording']]:g} s "
            "(is the time expansion right?)"
        )


def check_against_audio(manifest: Manifest, open_recording: OpensRecordings) -> None:
    """Open every recording and refuse annotations that reach past its end.

    Parameters
    ----------
    open_recording
        Opens a file, as :func:`ecotf.audio.recording.open_recording`; what it raises is not caught here.

    Raises
    ------
    DataError
        As :func:`check_recordings`.
    """
    durations = {
        recording: open_recording(
            manifest.path_of(recording), time_expansion=manifest.time_expansion_of(recording)
        ).duration_s
        for recording in manifest.recordings
    }
    check_recordings(manifest, durations)
