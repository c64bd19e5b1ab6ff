"""A folder that one job writes at a time."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from ecotf.errors import RecordingStatus
from ecotf.files import explain_write_errors, lock, unlock
from ecotf.inference.ledger import STATUSES


class HeldFolder:
    """A job's folder, locked until `close` or the end of the process; used as ``with``.

    Parameters
    ----------
    folder
        It is made where it is not there.
    known
        A file in it, for the message where the disk is full or may not be written to.

    Attributes
    ----------
    settled
        How many recordings ended in each status.

    Raises
    ------
    ConfigError
        Another process holds it.
    """

    def __init__(self, folder: Path, known: str) -> None:
        self.folder = folder
        self.settled: dict[RecordingStatus, int] = dict.fromkeys(STATUSES, 0)
        with explain_write_errors(folder / known):
            folder.mkdir(parents=True, exist_ok=True)
        self._held = lock(folder / ".job.lock", f"{folder}: another job is writing here (process {{pid}})")

    def close(self) -> None:
        """Let other jobs use the folder."""
        unlock(self._held)

    def __enter__(self) -> Self:
        """Return the folder itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
