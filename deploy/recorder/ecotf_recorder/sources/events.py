"""Messages of a source: a stretch of sound begins, sound comes, it ends; or there is none now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class FileKey(NamedTuple):
    """A file that was finished when it was looked at: its path below the folder, bytes, and time of change."""

    path: str
    size: int
    changed_ns: int


class FileFacts(NamedTuple):
    """What a file says of itself.

    Attributes
    ----------
    seconds
        Its length in real time; 0 where it cannot be read.
    began
        When, ISO 8601; without a zone where that is not known, empty where the time is not.
    serial
        The serial number of what recorded it; empty where nothing says it.
    """

    seconds: float = 0.0
    began: str = ""
    serial: str = ""


@dataclass(frozen=True)
class Began:
    """A stretch of sound without gaps begins.

    Attributes
    ----------
    steady
        When, by the steady clock; None for a recording of another time.
    name
        Of a file; "" for live sound, which is named by its time.
    wall
        When, in seconds since 1970, as the file says.
    """

    steady: float | None = None
    name: str = ""
    wall: float | None = None
    key: FileKey | None = None
    facts: FileFacts = field(default_factory=FileFacts)

    @property
    def is_live(self) -> bool:
        """Whether it is sound of this moment, and not of a file."""
        return self.key is None and not self.name


@dataclass(frozen=True)
class Sound:
    """The next samples, int16 or float32 ``[n]``."""

    samples: NDArray[Any] = field(default_factory=lambda: np.empty(0, np.int16), repr=False)


@dataclass(frozen=True)
class Ended:
    """The stretch is over.

    Attributes
    ----------
    reason
        Why, in a few words; empty where it is over because it was meant to.
    gap
        Whether sound was lost: a microphone that went away, a backlog that ran over.
    status
        Of a file, for the ledger.
    """

    reason: str = ""
    gap: bool = False
    status: str = "done"


@dataclass(frozen=True)
class Exhausted:
    """No more sound will ever come."""


Event = Began | Sound | Ended | Exhausted


class Source(Protocol):
    """A source of sound."""

    live: bool
    """Sound of this moment, that a schedule may switch on and off."""

    @property
    def backlog_s(self) -> float:
        """Seconds of sound that have come and are not handed over yet."""

    @property
    def lost_s(self) -> float:
        """Seconds of sound that are lost since the start."""

    @property
    def problem(self) -> str:
        """Reason for missing sound, in one line; empty if there is none."""

    def start(self) -> None:
        """Begin to listen."""

    def stop(self) -> None:
        """Listen no more; what has come already is still handed over, and then `Ended`."""

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None when none comes in time."""
