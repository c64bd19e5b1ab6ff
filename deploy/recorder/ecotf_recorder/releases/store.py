"""The folder with releases: what is there, which one is current, and the journal of a change that is under way.

Every change here is one rename, and whatever a rename makes visible is on the disk before it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import IO, Any

from ecotf_recorder.files import atomic_file, sync
from ecotf_recorder.releases.bundle import Bundle, ReleaseError, check_files, is_release_id, read_bundle
from ecotf_recorder.releases.home import check_owned
from ecotf_recorder.releases.settings import ReleaseSettings

PART = ".part"
_STALE_PART_S = 6 * 3600
_LOG_BYTES = 256 * 1024
_PART_NAME = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}\.part")
_TOKEN = re.compile(r"[A-Za-z0-9-]{0,64}")
_OPERATIONS = ("apply", "rollback")

Journal = dict[str, Any]


class Busy(ReleaseError):
    """Another process changes releases just now."""


class ReleaseStore:
    """Releases below the recorder's state folder: ``releases/<id>/``, ``current``, ``previous`` and the journal."""

    def __init__(self, settings: ReleaseSettings) -> None:
        self.state = settings.state
        self.releases = settings.releases
        self.journal_path = self.releases / "journal.json"
        self.last_path = self.releases / "last.json"
        self.log_path = self.releases / "log.jsonl"

    def lock(self, wait_s: float = 1.0) -> IO[str]:
        """Take the lock that lasts until the returned file is closed or the process ends, however it ends.

        Parameters
        ----------
        wait_s
            How long to try; whoever only looks whether the lock is taken holds it for an instant.

        Raises
        ------
        Busy
            Another process has it.
        ReleaseError
            The recorder is not set up, or may not be changed by this user.
        """
        self.check_set_up()
        try:
            held = os.fdopen(_open_own(self.releases / ".lock", os.O_RDWR), "a+", encoding="utf-8")
        except OSError as error:
            raise ReleaseError(f"{self.releases} cannot be changed ({error.strerror}); root may") from None
        began = time.monotonic()
        while not _taken(held):
            if time.monotonic() - began >= wait_s:
                held.seek(0)
                pid = held.read().strip() or "unknown"
                held.close()
                raise Busy(f"another flash is going on (process {pid}); try again when it is done")
            time.sleep(0.05)
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        return held

    def check_set_up(self) -> None:
        """Refuse to work on a recorder that was never set up."""
        for folder in (self.releases, self.state):
            check_owned(folder)

    def folder(self, release_id: str) -> Path:
        """Return the folder of a release, also if it does not exist."""
        if not is_release_id(release_id):
            raise ReleaseError(f"{release_id!r} is no release id")
        return self.releases / release_id

    def part(self, name: str) -> Path:
        """Return the folder of an upload by its name, whatever the path before it."""
        name = Path(name).name
        if not _PART_NAME.fullmatch(name):
            raise ReleaseError(f"{name!r} is no upload's name")
        return self.releases / name

    def ids(self) -> list[str]:
        """All releases, the one put there last first."""
        if not self.releases.is_dir():
            return []
        found = [path for path in self.releases.iterdir() if is_release_id(path.name) and path.is_dir()]
        return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)]

    def pointed(self, link: str) -> str | None:
        """The release that ``current`` or ``previous`` points to, there or not."""
        try:
            name = Path(os.readlink(self.state / link)).name
        except OSError:
            return None
        return name if is_release_id(name) else None

    def point(self, link: str, release_id: str | None) -> None:
        """Let ``current`` or ``previous`` point to a release, in one step; to nothing for None."""
        path = self.state / link
        if release_id is None:
            path.unlink(missing_ok=True)
        else:
            partial = self.state / f"{link}{PART}"
            partial.unlink(missing_ok=True)
            os.symlink(f"releases/{release_id}", partial)
            os.replace(partial, path)
        sync(self.state)

    def is_whole(self, release_id: str) -> bool:
        """Check that a release exists and that each byte of it is right."""
        try:
            bundle = read_bundle(self.folder(release_id))
            check_files(bundle)
        except (ReleaseError, OSError):
            return False
        return bundle.id == release_id

    def current_bundle(self) -> Bundle | None:
        """What the current release says of itself; None if there is none, or none that can be read."""
        current = self.pointed("current")
        try:
            return None if current is None else read_bundle(self.folder(current))
        except (ReleaseError, OSError):
            return None

    def place(self, part: Path, release_id: str) -> None:
        """Give a checked upload its full name. A damaged release of that name is mended file by file.

        A folder cannot replace another in one step, and ``current`` may point to the damaged one: it never goes away.
        """
        sync_folder(part)
        folder = self.folder(release_id)
        if folder.exists():
            names = sorted(path.name for path in part.iterdir())
            for name in names:
                os.replace(part / name, folder / name)
            for path in folder.iterdir():
                if path.name not in names and path.is_file():  # of the bundle before, such as its signature
                    path.unlink()
            sync(folder)
            part.rmdir()
        else:
            os.rename(part, folder)
        sync(self.releases)

    def discard(self, path: Path) -> None:
        """Remove a release or an upload; what is half removed never has a full name."""
        if not path.exists():
            return
        if not path.name.endswith(PART):
            trash = path.with_name(f"{path.name}-removed{PART}")
            shutil.rmtree(trash, ignore_errors=True)
            os.rename(path, trash)
            path = trash
        shutil.rmtree(path, ignore_errors=True)

    def prune(self, keep: int) -> list[str]:
        """Remove all but ``keep`` releases besides the current and the previous one; their ids."""
        needed = {self.pointed("current"), self.pointed("previous")}
        removed = [release_id for release_id in self.ids() if release_id not in needed][keep:]
        for release_id in removed:
            self.discard(self.folder(release_id))
        return removed

    def discard_parts(self) -> None:
        """Remove uploads that nobody finished: those untouched for hours."""
        for part in self.releases.glob(f"*{PART}"):
            # A clock may have jumped either way since.
            if abs(time.time() - part.stat().st_mtime) > _STALE_PART_S:
                self.discard(part)

    def read_journal(self) -> Journal | None:
        """The change that is under way or was cut off, or None; what no release manager wrote is none."""
        journal = _read_json(self.journal_path)
        return journal if journal is not None and is_journal(journal) else None

    def write_journal(self, journal: Journal) -> None:
        """Put the journal on the disk, in one step."""
        _write_json(self.journal_path, journal)

    def close_journal(self, journal: Journal, status: str, reason: str) -> None:
        """Keep how a change ended, and end it."""
        ended = {key: journal.get(key) for key in ("operation", "id", "token")}
        _write_json(self.last_path, {**ended, "status": status, "reason": reason, "time": now()})
        self.journal_path.unlink(missing_ok=True)
        sync(self.releases)

    def read_last(self) -> dict[str, Any] | None:
        """Result of the last change."""
        return _read_json(self.last_path)

    def log(self, line: str) -> None:
        """Add a line to the log, which is begun anew at a quarter of a megabyte."""
        if self.log_path.exists() and self.log_path.stat().st_size > _LOG_BYTES:
            os.replace(self.log_path, self.log_path.with_suffix(".jsonl.old"))
        with os.fdopen(_open_own(self.log_path, os.O_WRONLY), "a", encoding="utf-8") as log:
            log.write(line + "\n")


def is_journal(said: Journal) -> bool:
    """Check every field of a journal: each names a release, an upload, or one of a few words."""
    ids = [said.get(key) for key in ("before", "replaced") if said.get(key) is not None]
    part, token = said.get("part"), said.get("token", "")
    return (
        said.get("operation") in _OPERATIONS
        and isinstance(said.get("step"), str)
        and all(isinstance(one, str) and is_release_id(one) for one in [said.get("id"), *ids])
        and (part is None or (isinstance(part, str) and _PART_NAME.fullmatch(part) is not None))
        and isinstance(token, str)
        and _TOKEN.fullmatch(token) is not None
        and isinstance(said.get("new", False), bool)
    )


def _open_own(path: Path, flags: int) -> int:
    """Open a file to add to it, never through a link."""
    return os.open(path, flags | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def _taken(held: IO[str]) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Put a folder and the files in it on the disk."""
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def now() -> str:
    """The clock's time, for people to read; nothing is decided by it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
