"""The errors that a user sees: one sentence saying what is wrong, where, and what is allowed."""

from __future__ import annotations

from typing import Literal

RecordingStatus = Literal["done", "salvaged", "short", "silent", "corrupt", "unsupported", "failed"]


class EcotfError(Exception):
    """A mistake in what ecotf was given. Commands print its one line and stop, without a traceback."""


class ConfigError(EcotfError):
    """A recipe, a setting or a command line that cannot work."""


class DataError(EcotfError):
    """A manifest, an annotation file or a data set that cannot be used."""


class DiskFullError(EcotfError):
    """A full disk: what was finished before is kept, and nothing more can be done."""


class RecordingError(EcotfError):
    """One recording that cannot be used; work continues with the others.

    Parameters
    ----------
    reason
        One sentence, naming what was found and what is allowed.
    status
        How the ledger records it: ``short``, ``silent``, ``corrupt``, ``unsupported`` or ``failed``.
    """

    def __init__(self, reason: str, status: RecordingStatus = "failed") -> None:
        super().__init__(reason)
        self.status: RecordingStatus = status
