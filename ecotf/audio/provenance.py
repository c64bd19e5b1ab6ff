"""When a recording began and which recorder made it, also of a file whose sound cannot be read."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

from ecotf.audio.beginning import Began, find_beginning, iso_time, serial_of
from ecotf.audio.metadata import Notes, read_notes


class Provenance(NamedTuple):
    """Where a recording comes from.

    Attributes
    ----------
    began
        None where neither the metadata nor the file's name say it.
    recorder
        The serial number of the recorder as its metadata give it; empty where they do not.
    note
        What must be said about the time, as of `ecotf.audio.beginning.find_beginning`.
    """

    began: Began | None
    recorder: str
    note: str

    @property
    def time(self) -> str:
        """When it began, ISO 8601; without a zone where that is not known, empty where the time is not."""
        return iso_time(self.began)


def read_provenance(path: str | Path, stated: tzinfo | None = None) -> Provenance:
    """Read where a recording comes from; a file that is gone or damaged has its name still.

    Parameters
    ----------
    stated
        The zone of times that come without one.

    Examples
    --------
    >>> read_provenance("gone/20260621_221500.wav").time
    '2026-06-21T22:15:00.000'
    """
    try:
        notes = read_notes(path)
    except (OSError, ValueError):
        notes = Notes({}, {}, {})
    began, note = find_beginning(path, notes.dated, stated)
    return Provenance(began, serial_of(notes.fields), note)
