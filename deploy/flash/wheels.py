"""Packages of a recorder's environment: its own wheel and, for boards without internet, all others."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from deploy.flash import RECORDER
from ecotf.errors import ConfigError, EcotfError

# The TFLite runtimes for ARM are built for 64 bits and a C library of 2022 or later.
MACHINES = ("aarch64", "x86_64")
_LEAST_GLIBC = 34
MQTT_WHEELS = "paho_mqtt-*.whl"  # wanted by the service ecotf-mqtt alone; a folder of wheels may lack it
_OLDER_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # PEP 600


@dataclass(frozen=True)
class Board:
    """Facts about a recorder's system: machine, Python (3, minor) and C library (2, minor)."""

    machine: str
    python: tuple[int, int]
    glibc: tuple[int, int]

    def check(self) -> None:
        """Refuse a board for which there is no TFLite runtime.

        Raises
        ------
        ConfigError
            Naming what it has and what is needed.
        """
        if self.machine not in MACHINES:
            raise ConfigError(
                f"a 64-bit system is needed ({' or '.join(MACHINES)}), and this is {self.machine}; on a Raspberry Pi "
                "Zero 2 W, 3, 4 or 5 install Raspberry Pi OS Lite (64-bit)"
            )
        if self.python < (3, 11):
            raise ConfigError(f"Python 3.11 or later is needed, and this is {_dotted(self.python)}")
        if self.glibc < (2, _LEAST_GLIBC):
            raise ConfigError(
                f"glibc 2.{_LEAST_GLIBC} or later is needed (Debian 12), and this is {_dotted(self.glibc)}"
            )

    @property
    def platforms(self) -> list[str]:
        """The wheel platforms that run there, the newest first; some wheels bear the older name of theirs alone."""
        oldest = 5 if self.machine == "x86_64" else 17
        found = []
        for minor in range(self.glibc[1], oldest - 1, -1):
            found.append(f"manylinux_2_{minor}_{self.machine}")
            if minor in _OLDER_NAMES:
                found.append(f"{_OLDER_NAMES[minor]}_{self.machine}")
        return found


def build_recorder_wheel(folder: Path) -> Path:
    """Build the recorder's wheel into ``folder``; the same sources give the same bytes.

    Raises
    ------
    EcotfError
        It could not be built.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "recorder"
        unwanted = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
        shutil.copytree(RECORDER, source, ignore=unwanted)
        words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
        _pip(words, SOURCE_DATE_EPOCH="1577836800")
    return next(folder.glob("ecotf_recorder-*.whl"))


def download_wheels(recorder_wheel: Path, board: Board, folder: Path, source: Path | None = None) -> None:
    """Download what the recorder and its MQTT service need on ``board``, pip itself too, into ``folder``.

    Parameters
    ----------
    source
        A folder of wheels from which they are taken instead; that of the MQTT service may be absent.

    Raises
    ------
    EcotfError
        The network or a wheel is missing.
    """
    wanted = requirements(recorder_wheel, board, "mqtt" if source is None or any(source.glob(MQTT_WHEELS)) else "")
    where = ["--no-index", "--find-links", str(source)] if source is not None else []
    platforms = [word for platform in board.platforms for word in ("--platform", platform)]
    version = f"{board.python[0]}{board.python[1]}"
    _pip([
        "download", "--quiet", "--dest", str(folder), "--only-binary", ":all:", "--implementation", "cp",
        "--python-version", version, "--abi", f"cp{version}", "--abi", "abi3", "--abi", "none", *platforms,
        *where, *wanted, "pip",
    ])  # fmt: skip


def requirements(wheel: Path, board: Board, extra: str = "") -> list[str]:
    """Return the requirements of a wheel on ``board``; pip would judge the conditions by this computer's Python.

    Those of ``extra``, a name of its optional dependencies, are among them.
    """
    with zipfile.ZipFile(wheel) as opened:
        name = next(name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_string(opened.read(name).decode())
    there = {
        "python_version": _dotted(board.python), "python_full_version": f"{_dotted(board.python)}.0",
        "platform_machine": board.machine, "sys_platform": "linux", "platform_system": "Linux", "extra": extra,
    }  # fmt: skip
    wanted = []
    for line in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(there):
            requirement.marker = None
            wanted.append(str(requirement))
    return wanted


def _pip(words: list[str], **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        reasons = [re.sub(r"^ERROR: ", "", line) for line in lines if line.startswith("ERROR")] or lines[-1:] or ["?"]
        raise EcotfError(f"pip {words[0]}: {reasons[0]}")


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
