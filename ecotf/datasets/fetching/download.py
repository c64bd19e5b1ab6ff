"""Download one file: what is there of it is kept and gone on with, and it appears only when its checksum is right."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

from ecotf.errors import DataError
from ecotf.files import explain_write_errors, lock, unlock

Progress = Callable[[int, int | None], None]
"""Takes how many bytes are there, and of how many (None where the server does not say)."""

_BLOCK = 1 << 20
_TIMEOUT_S = 60.0


def download(
    url: str, path: str | Path, md5: str, progress: Progress | None = None, *, tries: int = 5, wait_s: float = 2.0
) -> Path:
    """Download a file, going on where an earlier download stopped.

    Parameters
    ----------
    url
        ``http://`` or ``https://``.
    path
        Where the file appears when it is complete and has the right checksum. Until then its beginning is in
        ``<path>.partial``. A file that is there already and has the right checksum is left as it is.
    md5
        The checksum, 32 hexadecimal digits.
    tries
        How often in a row a connection may break without a byte having come.
    wait_s
        Seconds before the second try; before later ones, a little longer each time.

    Raises
    ------
    DataError
        The server cannot be reached, refuses, sends a web page instead of a file, or the checksum is wrong.
    ConfigError
        Another process downloads the same file.
    """
    path = Path(path)
    wanted = checked_md5(md5)
    if path.exists():
        if md5_of(path) == wanted:
            return path
        raise DataError(f"{path}: is there, and its checksum is {md5_of(path)}, not {wanted}; move it away")
    partial = path.with_name(path.name + ".partial")
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    held = lock(path.with_name(path.name + ".lock"), f"{path}: process {{pid}} downloads it already")
    try:
        resumed = partial.exists() and partial.stat().st_size > 0
        _fetch(url, partial, progress, tries, wait_s)
        found = md5_of(partial)
        if found != wanted and resumed:  # the file on the server may be another one than that of last week
            partial.unlink()
            _fetch(url, partial, progress, tries, wait_s)
            found = md5_of(partial)
        if found != wanted:
            partial.unlink()
            raise DataError(f"{url}: the checksum of what came is {found}, and {wanted} was asked for; nothing is kept")
        with explain_write_errors(path):
            os.replace(partial, path)
    finally:
        unlock(held)
    return path


def checked_md5(text: str) -> str:
    """An MD5 in lower case, without ``md5:`` before it; raises `DataError` where it is none."""
    plain = text.strip().lower().removeprefix("md5:")
    if len(plain) != 32 or set(plain) - set("0123456789abcdef"):
        raise DataError(f"checksum {text!r} is no MD5; 32 hexadecimal digits are needed (md5sum FILE prints them)")
    return plain


def md5_of(path: str | Path) -> str:
    """The MD5 of a file's content, as hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def opened(url: str, begin: int = 0) -> Any:
    """Open an address, from a byte on; raises `DataError` where nothing answers or what answers refuses."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    if not url.lower().startswith(("http://", "https://")):
        raise DataError(f"{url!r} is no address; it begins with http:// or https://")
    headers = {"User-Agent": "ecotf", **({"Range": f"bytes={begin}-"} if begin else {})}
    try:
        return urlopen(Request(url, headers=headers), timeout=_TIMEOUT_S)
    except HTTPError as error:
        if error.code == 416:  # nothing is left after this byte
            return None
        raise DataError(f"{url}: the server refuses ({error.code} {error.reason})") from None
    except (URLError, OSError, ValueError) as error:
        raise _Unreachable(
            f"{url}: cannot be reached ({getattr(error, 'reason', error)}); is this computer online? Files that were "
            "downloaded elsewhere can be given by their path"
        ) from None


class _Unreachable(DataError):
    """Nobody answers: worth another try once something came."""


def _fetch(url: str, partial: Path, progress: Progress | None, tries: int, wait_s: float) -> None:
    """Append to ``partial`` until all is there; a connection that breaks is made again from where it broke."""
    failed = 0
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            done, broken = _receive(url, partial, before, progress), "the connection broke"
        except _Unreachable as error:
            if not before:
                raise
            done, broken = False, str(error)
        if done:
            return
        now = partial.stat().st_size if partial.exists() else 0
        failed = 0 if now > before else failed + 1
        if failed >= tries:
            raise DataError(
                f"{url}: {broken}; {now:,} bytes are kept in {partial}: the same command goes on from there"
            )
        sleep(wait_s * failed)


def _receive(url: str, partial: Path, begin: int, progress: Progress | None) -> bool:
    """Receive what is left, and say whether all is there."""
    from http.client import HTTPException

    answer = opened(url, begin)
    if answer is None:
        return True  # the checksum says whether it is the whole
    with answer:
        if "text/html" in (answer.headers.get("Content-Type") or ""):
            raise DataError(f"{url}: leads to a web page, not to a file; give the address of the file itself")
        if begin and (answer.status != 206 or not _begins_at(answer, begin)):
            begin = 0  # this server only sends whole files
        left = answer.headers.get("Content-Length")
        size = begin + int(left) if left is not None and left.isdigit() else None
        with explain_write_errors(partial), open(partial, "ab" if begin else "wb") as stream:
            there = begin
            while True:
                try:
                    block = answer.read1(_BLOCK)
                except (OSError, HTTPException):
                    return False
                if not block:
                    return size is None or there >= size
                stream.write(block)
                there += len(block)
                if progress is not None:
                    progress(there, size)


def _begins_at(answer: Any, begin: int) -> bool:
    return (answer.headers.get("Content-Range") or "").startswith(f"bytes {begin}-")
