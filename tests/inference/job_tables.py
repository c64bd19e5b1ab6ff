"""Recordings for a job, and what stands in its folder afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ecotf.inference.job import ClassifierOptions, JobResult
from ecotf.strangers import from_cell

RATE = 32_000
PLAIN = ClassifierOptions()


def record(path: Path, seed: int = 0, seconds: float = 0.5, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels))
    soundfile.write(path, samples, RATE, format="FLAC" if path.suffix == ".flac" else "WAV", subtype="PCM_16")
    return path


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def table(folder: Path) -> pd.DataFrame:
    found = pd.read_csv(folder / "detections.csv", dtype={"label": str}, keep_default_na=False)
    return found.assign(label=found["label"].map(from_cell))


def some(result: JobResult) -> dict[str, int]:
    return {str(status): number for status, number in result.counts.items() if number}
