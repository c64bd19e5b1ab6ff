"""Bundles that came on the memory card: applied once at boot, each with a note on the card saying how it went."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecotf_recorder.files import atomic_file
from ecotf_recorder.releases.bundle import Bundle, ReleaseError, check_files, check_signature, read_bundle
from ecotf_recorder.releases.settings import ReleaseSettings
from ecotf_recorder.releases.steps import ReleaseSteps, RolledBack
from ecotf_recorder.releases.store import PART, ReleaseStore
from ecotf_recorder.releases.uploads import manifest_digest, new_part

NOTE = "result.txt"
ALLOW_OLDER = ".allow-older"
_ENDINGS = (".done", ".refused", PART)
_MOST_ATTEMPTS = 3


class Inbox:
    """The folders of a card in which bundles wait.

    What was tried is kept on the recorder as well: a card may be read-only, and a bundle during whose start the power
    fails again and again must not be tried for ever.
    """

    def __init__(self, settings: ReleaseSettings, store: ReleaseStore, steps: ReleaseSteps) -> None:
        self.settings = settings
        self.store = store
        self.steps = steps
        self._memory_path = store.releases / "inbox.json"

    def waiting(self) -> list[Path]:
        """Folders in all inboxes that nobody has dealt with, the oldest bundle first."""
        found = [
            path
            for inbox in map(self.settings.below_root, self.settings.inboxes)
            if _is_folder(inbox)
            for path in inbox.iterdir()
            if _is_folder(path) and path.suffix not in _ENDINGS and not path.name.startswith(".")
        ]
        return sorted(found, key=lambda path: (_created(path), path.name))

    def apply_all(self, say: Callable[[str, str, str], None]) -> int:
        """Apply what waits; how many bundles were refused or rolled back. ``say`` gets folder, status and reason."""
        bad = 0
        for folder in self.waiting():
            status, reason = self._apply(folder)
            if status != "known":
                say(folder.name, status, reason)
                bad += status not in ("done", "unchanged")
        return bad

    def _apply(self, folder: Path) -> tuple[str, str]:
        try:
            bundle = read_bundle(folder)
            key = f"{bundle.id} {manifest_digest(folder)}"
        except (ReleaseError, OSError) as error:
            bundle, key, unread = None, f"{folder.name} {_size(folder)}", str(error)
        known = self._memory().get(key, {})
        if known.get("status"):
            return "known", ""
        attempt = int(known.get("attempts", 0)) + 1
        self._remember(key, {"attempts": attempt})
        if bundle is None:
            status, reason = "refused", unread
        elif attempt > _MOST_ATTEMPTS:
            status, reason = "refused", f"cut off {_MOST_ATTEMPTS} times, so it is not tried again"
        else:
            status, reason = self._apply_bundle(bundle)
        self._remember(key, {"attempts": attempt, "status": status})
        _note(folder, status, reason)
        return status, reason

    def _apply_bundle(self, bundle: Bundle) -> tuple[str, str]:
        try:
            # What the card says is believed last: older releases make way for nothing that is not proved.
            check_signature(bundle, self.settings.trusted, self.settings.require_signature)
            check_files(bundle)
            part = new_part(self.settings, self.store, bundle.id, bundle.size, is_proved=True)
            for name in bundle.names:
                _copy(bundle.folder / name, part / name)
            return self.steps.apply(bundle.id, part, allow_older=_may_be_older(bundle.folder)), ""
        except RolledBack as error:
            return "rolled-back", str(error)
        except (ReleaseError, OSError) as error:
            return "refused", str(error)

    def _memory(self) -> dict[str, Any]:
        try:
            content = json.loads(self._memory_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _remember(self, key: str, what: dict[str, Any]) -> None:
        memory = self._memory()
        memory.pop(key, None)
        kept = dict([*memory.items(), (key, what)][-50:])
        with atomic_file(self._memory_path) as partial:
            partial.write_text(json.dumps(kept) + "\n", encoding="utf-8")


def _note(folder: Path, status: str, reason: str) -> None:
    """Say on the card how it went; a card that cannot be written to is no reason to stop."""
    ending = ".done" if status in ("done", "unchanged") else ".refused"
    dealt_with = folder.with_name(folder.name + ending)
    try:
        (folder / NOTE).unlink(missing_ok=True)  # it may be a link to anywhere
        with (folder / NOTE).open("x", encoding="utf-8") as note:
            note.write(f"{status}{': ' if reason else ''}{reason}\n")
        shutil.rmtree(dealt_with, ignore_errors=True)
        os.rename(folder, dealt_with)
    except OSError:
        pass


def _may_be_older(folder: Path) -> bool:
    """Whether a file beside the bundle says that it may be older than what is installed."""
    return os.path.lexists(folder.with_name(folder.name + ALLOW_OLDER))


def _is_folder(path: Path) -> bool:
    """Check for a folder itself; a link on a card is never followed."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _copy(source: Path, target: Path) -> None:
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as read, target.open("xb") as written:
        shutil.copyfileobj(read, written)


def _created(folder: Path) -> str:
    try:
        return read_bundle(folder).created
    except ReleaseError:
        return ""


def _size(folder: Path) -> int:
    try:
        return sum(path.lstat().st_size for path in folder.iterdir())
    except OSError:
        return 0
