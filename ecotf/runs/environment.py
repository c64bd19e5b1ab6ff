"""The software and hardware that a run was made with: enough to repeat it, or to see why a second run differs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

_PACKAGES = (
    "ecotf", "tensorflow", "tensorflow-io", "keras", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn",
    "scikit-multilearn", "xgboost", "xgboost-cpu", "hyperopt", "soundfile", "soxr", "pydantic",
)  # fmt: skip


def environment_facts(seed: int, started: str, finished: str | None = None) -> dict[str, Any]:
    """Collect the facts for ``environment.json``.

    Parameters
    ----------
    seed
        The recipe's seed.
    started, finished
        ISO 8601 times of the training, as :attr:`RunFolder.started`.

    Returns
    -------
    dict
        ``seed``, ``started``, ``finished``, ``python``, ``platform``, ``cpu``, ``cpu_count`` (usable ones),
        ``memory_bytes``, ``packages`` (name to version, installed ones only; nothing is imported) and
        ``git_commit`` (``+changes`` after it where tracked files differ; None outside a git checkout).
    """
    return {
        "seed": seed,
        "started": started,
        "finished": finished,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpu_count": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "packages": _package_versions(),
        "git_commit": _git_commit(Path(__file__).parents[2]),
    }


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for field in ("model name", "Model"):  # x86; Raspberry Pi
        for line in lines:
            if line.startswith(field) and ":" in line:
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_commit(checkout: Path) -> str | None:
    if not (checkout / ".git").exists():  # installed with pip: a repository further up is not ours
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        changes = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changes else commit


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
