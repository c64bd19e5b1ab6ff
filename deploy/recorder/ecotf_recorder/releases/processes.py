"""Commands that releases run: the service manager, and the self-test of a model."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from ecotf_recorder.releases.bundle import MODEL, ReleaseError
from ecotf_recorder.releases.settings import ReleaseSettings

_COMMAND_S = 180.0


def run_quietly(command: tuple[str, ...]) -> str | None:
    """Run a command of the service manager; None when it succeeded, else the first line of its complaint."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = _lines(done.stderr) or _lines(done.stdout)
    return lines[0] if lines else f"{command[0]} ended with status {done.returncode}"


def run_selftest(settings: ReleaseSettings, folder: Path) -> None:
    """Let the recorder's own program try the model of a release against its golden outputs.

    Raises
    ------
    ReleaseError
        It failed, crashed or did not end; with the line it said.
    """
    try:
        done = subprocess.run(
            [*settings.selftest, str(folder / MODEL)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            timeout=settings.selftest_s,
            check=False,
            **_as_user(settings.user),
        )
    except subprocess.TimeoutExpired:
        raise ReleaseError(f"the self-test did not end within {settings.selftest_s:g} s") from None
    if done.returncode < 0:
        raise ReleaseError(f"the self-test was ended by signal {-done.returncode}")
    if done.returncode > 0:
        lines = _lines(done.stdout) or _lines(done.stderr)
        raise ReleaseError(f"the self-test failed: {lines[-1] if lines else f'status {done.returncode}'}")


def _as_user(name: str) -> dict[str, Any]:
    """Return a command for the recorder's user, if we are root: an unknown model gets no more rights."""
    if os.geteuid() != 0 or not name:
        return {}
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise ReleaseError(f"there is no user {name}; set the recorder up with flash_device.py init") from None
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/"}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "env": environment}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
