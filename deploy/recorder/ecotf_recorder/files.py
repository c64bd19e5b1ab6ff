"""Files that survive a power cut: whole or absent, and on the disk when we say so."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL_PREFIX = ".partial-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Write one file so that it appears whole or not at all; yields the partial path to write to."""
    partial = path.with_name(f"{PARTIAL_PREFIX}{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        sync(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def shown_name(path: str | Path) -> str:
    r"""Return a path that any table and any terminal can show: bytes that are not UTF-8 as ``\xe9``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partials(folder: Path) -> None:
    """Remove what a power cut left half-written in ``folder``."""
    for left in folder.glob(f"{PARTIAL_PREFIX}*"):
        left.unlink(missing_ok=True)


def disk_is_full(error: OSError) -> bool:
    """Check that an error means a full disk."""
    return error.errno in _FULL


def free_bytes(folder: Path) -> int:
    """Return the bytes that an ordinary user may still write to the disk of ``folder``."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
