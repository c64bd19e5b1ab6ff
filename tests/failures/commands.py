"""Commands that are given nothing good, what they say, and recordings and tables for them."""

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecotf.commands.console import run_command

RATE = 256_000
TINY = ("networks.0.backbone.filters=4", "networks.0.backbone.dense_units=8")


def outcome(capsys, main, *arguments):
    """Exit status, standard output and standard error of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit:
        run_command(main, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return exit.value.code, printed.out, printed.err


def error_of(capsys, main, *arguments):
    """The one line with which a command says why nothing could be done."""
    status, _, err = outcome(capsys, main, *arguments)
    lines = err.splitlines()
    assert status == 2
    assert len(lines) == 1 and lines[0].startswith("error: "), err
    return lines[0].removeprefix("error: ")


def left_over(folder: Path) -> list[str]:
    """Files that only a work in progress has."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if "partial" in path.name or ".lock" in path.name
    )


def sound(seconds: float = 0.4, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise with a few sweeps in it."""
    rng = np.random.default_rng(seed)
    samples = 0.01 * rng.standard_normal(round(seconds * rate))
    time = np.arange(round(0.004 * rate)) / rate
    for start in np.arange(0.05, seconds - 0.02, 0.08):
        at = round(start * rate)
        samples[at : at + time.size] += (
            0.3 * np.sin(2 * np.pi * (70_000 * time - 4e6 * time**2)) * np.hanning(time.size)
        )
    return samples.astype(np.float32)


def cut(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def full_disk(descriptor=None):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def call(recording: str, start_s: float, end_s: float, label: str = "Pipistrellus") -> dict:
    return {"recording": recording, "start_s": start_s, "end_s": end_s, "label": label}


def write_manifest(folder: Path, rows: list[dict]) -> Path:
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def training(manifest: Path, runs: Path, *more: str) -> tuple:
    return ("--recipe", "bats/cnn8", "--data", manifest, "--output", runs, *TINY, *more)
