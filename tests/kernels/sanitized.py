"""The kernels' tests with kernels that watch themselves: AddressSanitizer and UndefinedBehaviorSanitizer.

Copies the package to build/sanitized, builds the kernels there with both sanitizers, and runs the tests of the kernels
and of the features, once for each instruction set that this processor has. Any report ends the run with an error.

    python tests/kernels/sanitized.py            # needs gcc with libasan; takes a few minutes
    python tests/kernels/sanitized.py portable   # one build only
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "sanitized"
FLAGS = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
# TensorFlow and numba do not live under AddressSanitizer; what needs them is left out.
TESTS = [
    "tests/kernels",
    "tests/features/test_spectrogram.py",
    "tests/features/test_mel_spectrogram.py",
    "tests/features/test_finished_spectrograms.py",
]
LEFT_OUT = "not librosa and not tensorflow and not every_build and not memory and not cannot_run"


def library(name: str) -> str:
    """Where the compiler keeps one of its libraries."""
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(found).is_absolute():
        sys.exit(f"gcc has no {name}; on Debian run: sudo apt install gcc")
    return found


def build() -> None:
    """The package with watched kernels, in build/sanitized."""
    shutil.copytree(
        ROOT / "ecotf", PLACE / "ecotf", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    subprocess.run(
        [
            sys.executable,
            "setup.py",
            "build_ext",
            "--force",
            "--build-lib",
            str(PLACE),
            "--build-temp",
            str(PLACE / "objects"),
        ],
        cwd=ROOT,
        env={**os.environ, "ECOTF_EXTRA_FLAGS": FLAGS},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def run(level: str) -> int:
    """The tests with one build of the spectrogram kernels; the exit status of pytest."""
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join([library("libasan.so"), library("libubsan.so")]),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter keeps what it has until it ends
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONPATH": str(PLACE),
        "PYTHONSAFEPATH": "1",  # the package in build/sanitized, not the one in this folder
        "PYTHONMALLOC": "malloc",  # so that reading past the end of an array is seen
        "ECOTF_KERNELS": level,
    }
    where = [sys.executable, "-c", "import ecotf._kernels as kernels; print(kernels.spectrogram.__file__)"]
    kernels = subprocess.run(where, env=environment, capture_output=True, text=True, check=True).stdout
    if not kernels.startswith(str(PLACE)):
        sys.exit(f"these kernels are not watched: {kernels}")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", LEFT_OUT, *TESTS]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> None:
    """Build, then test every build that can run here, or those named."""
    build()
    sys.path.insert(0, str(ROOT))
    from ecotf._kernels import cpu

    failed = [level for level in sys.argv[1:] or cpu.levels() if run(level) != 0]
    sys.exit(f"reports from {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
