"""A recording that is to be looked at, and the result of looking at it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from ecotf.audio.discover import shown_name
from ecotf.errors import RecordingStatus
from ecotf.inference.formats import Call


class Outcome(NamedTuple):
    """The result of one recording, before it is written down; ``began`` and ``recorder`` are of its ledger row."""

    status: RecordingStatus
    reason: str = ""
    duration_s: float = float("nan")
    seconds_used: float = 0.0
    sample_rate: int = 0
    calls: Sequence[Call] = ()
    segments: list[list[float]] | None = None
    began: str = ""
    recorder: str = ""


class Waiting(NamedTuple):
    """A recording that is to be listened to.

    Attributes
    ----------
    file
        Its path, as given by the user.
    name, path
        What stands for it in every table, and its real path, both in letters that every program reads.
    """

    file: str
    name: str
    path: str

    @classmethod
    def of(cls, file: str) -> Waiting:
        """Look up the real path."""
        return cls(file, shown_name(file), shown_name(os.path.realpath(file)))


def said(error: BaseException) -> str:
    """Write one line about an error of any kind, for the ledger."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text[:300]}" if text else name


def readable(text: str) -> str:
    """Text in which no byte stands that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
