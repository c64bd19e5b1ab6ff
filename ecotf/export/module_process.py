"""A module of ecotf in a process of its own: the converter may die in it, and a rehearsal must not find TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ecotf.errors import ConfigError


def run_module(module: str, request: Path, what: str) -> None:
    """Run ``python -m module request``; a failure becomes one line, with what the process said last.

    Parameters
    ----------
    what
        What the process is, for people: ``converter``.

    Raises
    ------
    ConfigError
        It ended badly; the last line that it printed is the stage that it was at.
    """
    root = Path(__file__).parents[2]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", module, str(request)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        printed = result.stdout.strip().splitlines()
        where = f"stage {printed[-1]}" if printed else "at its start"
        raise ConfigError(f"{where}: the {what} {_explain(result.returncode, result.stderr)}")


def _explain(status: int, said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    flex = next((line for line in lines if "TF Select ops" in line or "Flex ops" in line), "")
    last = flex or next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")
    how = f"died with signal {-status}" if status < 0 else "failed"
    return f"{how} ({last.strip()[:300]})"
