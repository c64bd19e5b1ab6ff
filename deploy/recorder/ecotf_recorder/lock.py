"""One recorder for each folder: two of them would write everything twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from ecotf_recorder.errors import RecorderError


def lock_state(folder: Path) -> IO[str]:
    """Take the lock of a state folder; it lasts until the file is closed or the process ends, however it ends.

    Raises
    ------
    RecorderError
        Another recorder writes there, or this user may not.
    """
    path = folder / ".lock"
    try:
        held = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640), "r+")
    except OSError as error:
        raise RecorderError(f"{path}: cannot be opened ({error.strerror})") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = held.read(20).strip() or "unknown"
        held.close()
        raise RecorderError(f"{folder}: another recorder writes here (process {pid}); stop it first") from None
    held.truncate(0)
    held.write(f"{os.getpid()}\n")
    held.flush()
    return held
