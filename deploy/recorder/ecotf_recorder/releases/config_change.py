"""``config --set``: other settings for the recorder, checked before they are taken; what does not work is undone."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from ecotf_recorder.files import atomic_file, sync
from ecotf_recorder.releases.bundle import ReleaseError, read_regular
from ecotf_recorder.releases.config_text import change_text
from ecotf_recorder.releases.processes import as_user, run_quietly, without_rights
from ecotf_recorder.releases.settings import CONFIG_FILE, ReleaseSettings, read_settings
from ecotf_recorder.releases.steps import Report, RolledBack
from ecotf_recorder.releases.store import ReleaseStore
from ecotf_recorder.releases.watching import HealthWatch

_CHECK_S = 60.0
_TABLE_BYTES = 4 << 20
_LATER = 1  # exit status of check-config: something is not there yet, such as a card


def read_config_text(settings: ReleaseSettings) -> str:
    """Read the recorder's config.

    Raises
    ------
    ReleaseError
        There is none, or it cannot be read.
    """
    path = settings.root / CONFIG_FILE
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ReleaseError(f"{path} is not there; set the recorder up with flash_device.py init") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path}: cannot be read ({error})") from None


class ConfigChange:
    """One change of the config; the release stays."""

    def __init__(self, settings: ReleaseSettings, store: ReleaseStore, report: Report) -> None:
        self._settings, self._store, self._report = settings, store, report
        self._path = settings.root / CONFIG_FILE
        self._old = self._path.with_name(f"{self._path.name}.old")

    def apply(self, changes: Mapping[str, str | None], table: Path | None = None, token: str = "") -> str:
        """Change settings.

        Parameters
        ----------
        changes
            As of `change_text`.
        table
            A table of plausible labels, which is kept beside the config and becomes ``rules.plausible``.

        Returns
        -------
        str
            ``done``, or ``unchanged`` if they have these values.

        Raises
        ------
        RolledBack
            The recorder did not run with it, and has its old config again.
        ReleaseError
            It was refused before anything changed.
        """
        status, reason = "refused", ""
        try:
            status = self._apply(dict(changes), table)
        except RolledBack as error:
            status, reason = "rolled-back", str(error)
            raise
        except (ReleaseError, OSError) as error:
            reason = str(error)
            raise
        finally:
            self._store.close_journal({"operation": "config", "id": None, "token": token}, status, reason)
        return status

    def _apply(self, changes: dict[str, str | None], table: Path | None) -> str:
        before = read_config_text(self._settings)
        kept, is_new = self._keep_table(table) if table is not None else (None, False)
        try:
            text = change_text(before, changes | ({"rules.plausible": str(kept)} if kept is not None else {}))
            if text == before:
                return "unchanged"
            self._take(text)
        except (ReleaseError, OSError):
            if kept is not None and is_new:
                kept.unlink(missing_ok=True)
            raise
        current = self._store.pointed("current")
        if current is None:
            return "done"
        try:
            self._step("restart", lambda say: self._restart())
            self._step("health", lambda say: HealthWatch(read_settings(self._settings.root)).wait(current, say))
        except (ReleaseError, OSError) as error:
            self._undo(current, str(error))
        return "done"

    def _take(self, text: str) -> None:
        """Let the config be ``text``, if it is a good one; the one before is kept."""
        with atomic_file(self._path) as partial:
            partial.write_text(text, encoding="utf-8")
            partial.chmod(0o644)
            self._step("check", lambda say: say(self._check(partial)))
            shutil.copyfile(self._path, self._old)
            sync(self._old)

    def _check(self, path: Path) -> str:
        """Ask ``check-config``, without root's rights; what is not there yet is no reason to refuse."""
        done = subprocess.run(
            [*without_rights(self._settings), *self._settings.check_config, str(path)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_CHECK_S, cwd="/",
            check=False, **as_user(self._settings.user),
        )  # fmt: skip
        said = [line.removeprefix(f"{path}: ") for line in done.stderr.splitlines() if line.strip()]
        if done.returncode not in (0, _LATER):
            raise ReleaseError("; ".join(said)[:2000] or f"check-config ended with status {done.returncode}")
        return "; ".join(said)

    def _restart(self) -> None:
        trouble = run_quietly(self._settings.restart)
        if trouble:
            raise ReleaseError(f"the recorder's service did not start: {trouble}")

    def _undo(self, current: str, reason: str) -> None:
        with atomic_file(self._path) as partial:
            shutil.copyfile(self._old, partial)
            partial.chmod(0o644)
        try:
            self._step("undo", lambda say: self._run_again(current, say))
            after = "the old config is taken again"
        except (ReleaseError, OSError) as error:
            after = f"the old config is taken again, but: {error}"
        raise RolledBack(f"{reason}; {after}")

    def _run_again(self, current: str, say: Callable[[str], None]) -> None:
        self._restart()
        HealthWatch(read_settings(self._settings.root)).wait(current, say)

    def _step(self, name: str, do: Callable[[Callable[[str], None]], None]) -> None:
        self._report(name, "started", "")
        try:
            do(lambda detail: self._report(name, "waiting", detail) if detail else None)
        except (ReleaseError, OSError) as error:
            self._report(name, "failed", str(error))
            raise
        self._report(name, "ok", "")

    def _keep_table(self, table: Path) -> tuple[Path, bool]:
        """Keep a table beside the config, under a name of its own: the old config has its old one."""
        content = read_regular(table, _TABLE_BYTES)
        place = self._path.with_name(f"plausible-{hashlib.sha256(content).hexdigest()[:12]}.csv")
        is_new = not place.exists()
        if is_new:
            with atomic_file(place) as partial:
                partial.write_bytes(content)
                partial.chmod(0o644)
        return place, is_new
