"""The errors that the owner of a recorder sees: one sentence saying what is wrong, where, and what is allowed."""

from __future__ import annotations


class RecorderError(Exception):
    """Something that the recorder was given cannot be used. Commands print its one line and stop."""


class ConfigError(RecorderError):
    """A setting, or a command line, that cannot work."""


class ModelError(RecorderError):
    """A file that is no device model, or one that this recorder cannot run."""


class SourceError(RecorderError):
    """Sound does not come: no microphone, or one that does not do what is asked of it."""


class SoundError(RecorderError):
    """One recording that cannot be used; the others go on.

    Parameters
    ----------
    reason
        One sentence.
    status
        How the ledger records it: ``short``, ``silent``, ``corrupt``, ``unsupported`` or ``failed``.
    """

    def __init__(self, reason: str, status: str = "failed") -> None:
        super().__init__(reason)
        self.status = status
