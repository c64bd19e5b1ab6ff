"""Files that are whole or absent: written under a partial name, moved into place when complete."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ecotf.errors import ConfigError, DiskFullError, EcotfError

if TYPE_CHECKING:
    import numpy as np

# Put before the name, not after it: libraries choose the format by the ending (.weights.h5, .ubj, .png).
PARTIAL_PREFIX = ".partial-"

LONGEST_NAME = 255
"""How many bytes the name of a file may have on the file systems of Linux."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NEARLY_NOTHING = 16 * 1024  # bytes; less than this free is a full disk, whatever a library calls its failure


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Write one file so that it appears whole or not at all.

    Yields a temporary path in the same folder, with the same ending; whatever the block writes there is moved to
    ``path`` when the block ends without an error, and removed when it does not. An older ``path`` stays untouched
    until then. Missing parent folders are made.

    Raises
    ------
    EcotfError
        The disk is full, or the place cannot be written to.
    """
    path = Path(path)
    partial = _partial_of(path)
    with _whole(path, lambda: partial.unlink(missing_ok=True)):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _sync(partial)
        os.replace(partial, path)
        _sync(path.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Write one folder so that it appears whole or not at all; as :func:`atomic_file`.

    An older ``path`` changes places with it in one step, so there is always one of the two. A file system that cannot
    do that has none for an instant, while the older one is moved aside; there is never a mixture of both.
    """
    path = Path(path)
    partial = _partial_of(path)
    with _whole(path, lambda: shutil.rmtree(partial, ignore_errors=True)):
        partial.mkdir(parents=True)
        yield partial
        for inside in [*partial.rglob("*"), partial]:
            _sync(inside)
        if path.exists() and _exchange(partial, path):
            shutil.rmtree(partial)
        elif path.exists():
            aside = partial.with_name(f"{partial.name}.old")
            os.rename(path, aside)
            os.rename(partial, path)
            shutil.rmtree(aside)
        else:
            os.rename(partial, path)
        _sync(path.parent)


@contextmanager
def reading_arrays(path: Path, what: str) -> Iterator[dict[str, np.ndarray]]:
    """Read the arrays of an ``.npz`` file; raises `ConfigError` where it is damaged, or not ``what`` to the block."""
    import zipfile
    import zlib

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        yield arrays
    except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        raise ConfigError(f"{path}: damaged, or not {what}") from None


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into one line for the user; errors about other files pass as they are."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(f"disk full while writing {path}") from error
        if error.filename is None:
            raise
        place = Path(os.fsdecode(error.filename))
        if place in (path, *path.parents) or any(part.startswith(PARTIAL_PREFIX) for part in place.parts):
            raise EcotfError(f"{path}: cannot be written ({error.strerror})") from error
        raise


def remove_partials(folder: str | Path) -> None:
    """Remove what killed writers left below ``folder``. Only for a folder that nobody else writes to."""
    for left in list(Path(folder).rglob(f"{PARTIAL_PREFIX}*")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def lock(path: str | Path, busy: str) -> IO[str]:
    """Take a lock that lasts until the returned file is closed or the process ends, however it ends.

    Parameters
    ----------
    path
        The lock file; made if absent. It holds the process id of the owner.
    busy
        What to say when another process has it; ``{pid}`` is replaced by its process id.

    Raises
    ------
    ConfigError
        Another process holds the lock.
    EcotfError
        The lock file cannot be made there.
    """
    path = Path(path)
    while True:
        with explain_write_errors(path):
            held = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - the caller keeps it open
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held.seek(0)
            pid = held.read().strip() or "unknown"
            held.close()
            if isinstance(error, BlockingIOError):
                raise ConfigError(busy.replace("{pid}", pid)) from None
            raise EcotfError(f"{path}: cannot be locked ({error.strerror}); is this a network drive?") from None
        if path.exists() and os.path.samestat(os.fstat(held.fileno()), os.stat(path)):
            break
        held.close()  # its owner removed the file between our two steps
    held.truncate(0)
    held.write(f"{os.getpid()}\n")
    held.flush()
    return held


def _partial_of(path: Path) -> Path:
    prefix = f"{PARTIAL_PREFIX}{uuid.uuid4().hex[:8]}-"
    tail = os.fsencode(path.name)[len(prefix) + len(".old") - LONGEST_NAME :]  # the ending of a long name stays
    while tail and tail[0] & 0xC0 == 0x80:  # not from the middle of a UTF-8 character
        tail = tail[1:]
    return path.with_name(prefix + os.fsdecode(tail))


@contextmanager
def _whole(path: Path, remove_partial: Callable[[], object]) -> Iterator[None]:
    """Run a write; when it fails or is interrupted, leave nothing half-written behind."""
    with explain_write_errors(path):
        try:
            yield
        except BaseException as error:
            full = _disk_is_full(error, path)  # asked before the partial is removed and gives its space back
            remove_partial()
            if full:
                raise DiskFullError(f"disk full while writing {path}") from error
            raise


def unlock(held: IO[str]) -> None:
    """Give a lock back and remove its file; a second time does nothing."""
    if not held.closed:
        Path(held.name).unlink(missing_ok=True)
        held.close()


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step (renameat2 of Linux); whether this system and file system can do it."""
    import ctypes

    call = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return call is not None and call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_is_full(error: BaseException, path: Path) -> bool:
    """Whether a full disk is behind an error; numpy, h5py and xgboost each report it in their own words."""
    if not isinstance(error, Exception) or isinstance(error, EcotfError):
        return False
    if getattr(error, "errno", None) in _FULL or "No space left on device" in str(error):
        return True
    try:
        return shutil.disk_usage(path.parent).free < _NEARLY_NOTHING
    except OSError:
        return False
