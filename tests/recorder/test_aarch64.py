"""The recorder on the processor of a Raspberry Pi: aarch64 under qemu-user, put together from Debian and PyPI packages.

Nothing is installed and no rights are needed: packages are unpacked into ``build/aarch64/``, once. What this shows is
that the numbers are the same; how long it takes says nothing about a board.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
RECORDER = ROOT / "deploy" / "recorder"
PLACE = ROOT / "build" / "aarch64"
RATE = 256_000
WHEELS = ("tflite-runtime==2.14.0", "numpy==1.26.4")  # as on a Raspberry Pi with Debian 12


class Emulated:
    """A Python of another processor; made complete or not at all."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root, self.packages = place / "root", place / "site-packages"
        qemu = shutil.which("qemu-aarch64-static")
        self.qemu = Path(qemu) if qemu else place / "qemu" / "usr" / "bin" / "qemu-aarch64-static"

    def make(self) -> None:
        """Download and unpack what is not there yet."""
        if not (self.place / "complete").exists():
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir(parents=True)
            self._debian("arm64", ["python3.11", "libstdc++6"], self.root)
            # Debian 12 keeps the loader in /lib, which is /usr/lib on a whole system.
            if not (self.root / "lib").is_symlink() and not (self.root / "lib").exists():
                (self.root / "lib").symlink_to("usr/lib")
            if not self.qemu.exists():
                machine = _output(["dpkg", "--print-architecture"])
                self._debian(machine, ["qemu-user-static"], self.place / "qemu", with_dependencies=False)
                for other in self.qemu.parent.iterdir():
                    if other != self.qemu:
                        other.unlink()  # 60 processors that nobody asked for, 400 MB
            self._wheels()
            (self.place / "complete").touch()

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess:
        """Run the recorder's command."""
        environment = {
            "PYTHONPATH": f"{self.packages}:{RECORDER}", "PATH": "/usr/bin:/bin",
            "HOME": str(self.place),
        }  # fmt: skip
        python = self.root / "usr" / "bin" / "python3.11"
        command = [self.qemu, "-cpu", "cortex-a53", "-L", self.root, python, "-m", "ecotf_recorder", *arguments]
        return subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, check=False, timeout=900, env=environment
        )

    def _debian(self, architecture: str, packages: list[str], into: Path, with_dependencies: bool = True) -> None:
        """Unpack packages, with a package list and a cache of our own."""
        apt = self.place / f"apt-{architecture}"
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (apt / folder).mkdir(parents=True, exist_ok=True)
        (apt / "status").touch()
        options = {
            "APT::Architecture": architecture, "APT::Architectures": architecture, "Dir::State": apt / "state",
            "Dir::State::status": apt / "status", "Dir::Cache": apt / "cache", "APT::Sandbox::User": "root",
            "Acquire::Retries": 2, "Acquire::Languages": "none", "Debug::NoLocking": 1,
        }  # fmt: skip
        command = ["apt-get", "-qq", *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]
        _output([*command, "update"])
        if with_dependencies:
            _output([*command, "install", "--yes", "--download-only", "--no-install-recommends", *packages])
            archives = list((apt / "cache" / "archives").glob("*.deb"))
        else:
            _output([*command, "download", *packages], cwd=apt)
            archives = list(apt.glob("*.deb"))
        into.mkdir(parents=True, exist_ok=True)
        for archive in archives:
            _output(["dpkg", "-x", str(archive), str(into)])
        shutil.rmtree(apt)

    def _wheels(self) -> None:
        platforms = [part for glibc in (17, 28, 34) for part in ("--platform", f"manylinux_2_{glibc}_aarch64")]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        kind = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11"]
        _output(
            [*pip, *kind, *platforms, "--platform", "manylinux2014_aarch64", "--target", str(self.packages), *WHEELS]
        )


def _output(command: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, cwd=cwd)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not here; it takes Debian to get packages of another processor")
    except subprocess.TimeoutExpired:
        pytest.skip(f"packages cannot be had: {command[0]} took over 300 s")
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        pytest.skip(f"packages cannot be had: {Path(command[0]).name} says: {last}")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def emulated() -> Iterator[Emulated]:
    PLACE.parent.mkdir(exist_ok=True)
    with open(PLACE.parent / "aarch64.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Emulated(PLACE)
        made.make()
    yield made


@pytest.fixture(scope="module")
def recording(tmp_path_factory, sound_of) -> Path:
    path = tmp_path_factory.mktemp("night") / "night.wav"
    soundfile.write(path, sound_of(1, seconds=1.1), RATE, subtype="PCM_16")
    return path


def test_it_is_another_processor(emulated):
    done = emulated.run("status", "--root", "/nowhere")
    assert done.returncode == 2
    assert "no recorder has run here" in done.stderr
    machine = subprocess.run(
        [emulated.qemu, "-L", emulated.root, emulated.root / "usr/bin/python3.11", "-c",
         "import platform, struct; print(platform.machine(), struct.calcsize('P'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert machine.stdout.split() == ["aarch64", "8"]


def test_classify_gives_the_hosts_detections(emulated, device_model, recording, tmp_path):
    there = emulated.run("classify", device_model, recording, "--output", tmp_path / "there")
    assert there.returncode == 0, there.stderr[-2000:]
    environment = {**os.environ, "PYTHONPATH": str(RECORDER)}
    command = [
        sys.executable,
        "-m",
        "ecotf_recorder",
        "classify",
        device_model,
        recording,
        "--output",
        tmp_path / "here",
    ]
    subprocess.run([str(part) for part in command], check=True, capture_output=True, env=environment)
    here, found = (pd.read_csv(tmp_path / place / "detections.csv") for place in ("here", "there"))
    assert len(here) > 5
    assert found["label"].tolist() == here["label"].tolist()
    for column, tolerance in {"start_s": 1e-6, "end_s": 1e-6, "low_hz": 0.1, "high_hz": 0.1, "score": 1e-3}.items():
        np.testing.assert_allclose(found[column], here[column], rtol=0, atol=1.01 * tolerance)


def test_the_models_own_test_passes(emulated, device_model):
    done = emulated.run("selftest", device_model)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("ok: ")
