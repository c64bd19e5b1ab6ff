"""Commands that releases run: the service manager, and the self-test of a model."""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecotf_recorder.releases.bundle import MODEL, ReleaseError
from ecotf_recorder.releases.settings import ReleaseSettings

_COMMAND_S = 180.0
_OUTPUT_BYTES, _TAIL_BYTES = 1 << 20, 1 << 14


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
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*without_rights(settings), *settings.selftest, str(folder / MODEL)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            preexec_fn=lambda: _limit(settings),
            **as_user(settings.user),
        )
        try:
            status = process.wait(settings.selftest_s)
        except subprocess.TimeoutExpired:
            raise ReleaseError(f"the self-test did not end within {settings.selftest_s:g} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = _lines(said.read().decode(errors="replace"))
    if status < 0:
        raise ReleaseError(f"the self-test was ended by signal {-status}")
    if status > 0:
        raise ReleaseError(f"the self-test failed: {lines[-1][:300] if lines else f'status {status}'}")


def detached(change: Callable[[], int], otherwise: int) -> int:
    """Run a change in a process of its own, which goes on when the connection or the terminal goes away.

    Returns
    -------
    What ``change`` returned; ``otherwise`` if it ended by an error.
    """
    child = os.fork()
    if child:
        _, ended = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(ended)
        return code if code >= 0 else 128 - code
    code = otherwise
    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = change()
    finally:
        os._exit(code)


def _limit(settings: ReleaseSettings) -> None:
    """A model may be hostile: it gets some memory and time, and room for a few lines of output."""
    seconds, memory = int(settings.selftest_s) + 1, settings.selftest_mb << 20
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: _OUTPUT_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def without_rights(settings: ReleaseSettings) -> list[str]:
    """Words that take away the way back to more rights, where the board has them."""
    tool = shutil.which("setpriv") if os.geteuid() == 0 and settings.user else None
    return [tool, "--no-new-privs", "--"] if tool else []


def as_user(name: str) -> dict[str, Any]:
    """Return a command for the recorder's user, if we are root: an unknown model gets no more rights."""
    if os.geteuid() != 0 or not name:
        return {}
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise ReleaseError(f"there is no user {name}; set the recorder up with flash_device.py init") from None
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "env": environment}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
