"""What the recorder wrote, told and sent to a computer that fetches it: only what is new, with checksums.

It is asked as root and works as the recorder's user, so a link in that user's folder leads to nothing that is root's.
"""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ecotf_recorder.files import PARTIAL_PREFIX
from ecotf_recorder.releases.bundle import ReleaseError

PIECE_BYTES = 1 << 18
_MOST_AT_ONCE = 16 << 20
_TOP = ("detections", "kept_out", "files", "gaps", "health.json", "status.html", "recorder.log")
_LEFT = (".sqlite", ".sqlite-wal", ".sqlite-shm")  # they change while they are read; the tables hold the same
CLIPS = "clips"

Line = dict[str, Any]


def give_up_rights(user: str) -> None:
    """Be the recorder's user from now on, if this is root."""
    if os.geteuid() != 0 or not user:
        return
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise ReleaseError(f"there is no user {user}; set the recorder up with flash_device.py init") from None
    os.setgroups([])
    os.setgid(found.pw_gid)
    os.setuid(found.pw_uid)


def tell_files(data: Path) -> Iterator[Line]:
    """Name, size and time of change of every file that may be fetched: tables, health, log and clips."""
    for place, folders, names in os.walk(data):
        within = os.path.relpath(place, data)
        if within == ".":
            folders[:] = [name for name in folders if name == CLIPS]
            names = [name for name in names if name.startswith(_TOP) and not _is_left(name)]
        folders.sort()
        for name in sorted(names):
            found = os.lstat(os.path.join(place, name))
            shown = os.path.normpath(os.path.join(within, name))
            if stat.S_ISREG(found.st_mode) and not name.startswith(PARTIAL_PREFIX) and shown.isprintable():
                yield {"name": shown, "size": found.st_size, "changed_ns": found.st_mtime_ns}


def send_file(data: Path, name: str, have: int, digest: str, end: int) -> Iterator[Line]:
    """Send the bytes of a file up to ``end``, at most some megabytes at once.

    Parameters
    ----------
    have, digest
        How many bytes of its beginning are there already, and their SHA-256. A file that begins otherwise now is sent
        from its beginning.

    Returns
    -------
    Pieces with their place ``at`` and the packed bytes ``data``; then a line with the ``sha256`` of all bytes so far.
    """
    with os.fdopen(_open_within(data, name), "rb") as file:
        hashed = hashlib.sha256()
        _read_on(file, have, hashed.update)
        at = have
        if not 0 <= have <= end or file.tell() != have or hashed.hexdigest() != digest:
            at, hashed = 0, hashlib.sha256()
            file.seek(0)
        end = min(end, at + _MOST_AT_ONCE)
        while at < end and (piece := file.read(min(PIECE_BYTES, end - at))):
            hashed.update(piece)
            yield {"name": name, "at": at, "data": base64.b64encode(zlib.compress(piece, 1)).decode()}
            at += len(piece)
        yield {"name": name, "end": at, "sha256": hashed.hexdigest()}


def is_plain_path(name: str) -> bool:
    """Check that a path leads to a place below a folder: no root, no way up, nothing hidden, no control characters."""
    parts = name.split("/")
    return bool(name) and name.isprintable() and not any(part in ("", ".", "..") or part[0] == "." for part in parts)


def _is_left(name: str) -> bool:
    return any(name.endswith(ending) or f"{ending}." in name for ending in _LEFT)


def _open_within(data: Path, name: str) -> int:
    """Open a plain file without following a link on the way, or waiting for a pipe."""
    if not is_plain_path(name):
        raise ReleaseError(f"{name!r}: no file of a recorder")
    *folders, last = name.split("/")
    there = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=there)
            os.close(there)
            there = inner
        opened = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=there)
    finally:
        os.close(there)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise ReleaseError(f"{name!r}: no plain file")
    return opened


def _read_on(file: Any, n: int, take: Any) -> None:
    while n > 0 and (piece := file.read(min(PIECE_BYTES, n))):
        take(piece)
        n -= len(piece)
