"""The last lines of the recorder's logs, for somebody far away."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ecotf_recorder.releases.bundle import ReleaseError
from ecotf_recorder.releases.fetching import give_up_rights
from ecotf_recorder.releases.settings import SERVICE, ReleaseSettings

SOURCES = ("recorder", "service", "changes")
_MOST_LINES, _MOST_BYTES, _MOST_CHARACTERS = 10_000, 2 << 20, 2_000
_JOURNAL_S = 60.0


def last_lines(settings: ReleaseSettings, changes: Path, source: str, n: int) -> Iterator[str]:
    """The last ``n`` lines, the oldest first.

    Parameters
    ----------
    changes
        The log of changes of the release and the config.
    source
        ``recorder``: its own log; ``service``: systemd's journal of it, with crashes; ``changes``.

    Raises
    ------
    ReleaseError
        There is no such log.
    """
    n = max(1, min(n, _MOST_LINES))
    if source == "service":
        lines = _journal(settings, n)
    elif source == "changes":
        lines = _tail(changes)
    else:
        give_up_rights(settings.user)  # the folder is not root's, so a link in it shall lead to nothing of root's
        lines = _tail(settings.health.with_name("recorder.log"))
    yield from (line[:_MOST_CHARACTERS] for line in lines[-n:])


def _journal(settings: ReleaseSettings, n: int) -> list[str]:
    if settings.root != Path("/") or shutil.which("journalctl") is None:
        raise ReleaseError("there is no journal of systemd here")
    words = [
        "journalctl",
        "-u",
        SERVICE,
        "-u",
        "ecotf-inbox.service",
        "-n",
        str(n),
        "--no-pager",
        "-q",
        "-o",
        "short-iso",
    ]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_JOURNAL_S, check=False)
    if done.returncode:
        raise ReleaseError(f"journalctl: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}")
    return done.stdout.splitlines()


def _tail(path: Path) -> list[str]:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror})") from None
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise ReleaseError(f"{path}: no plain file")
        at = max(0, found.st_size - _MOST_BYTES)
        file.seek(at)
        lines = file.read(_MOST_BYTES).decode(errors="replace").splitlines()
    return lines[1:] if at else lines
