"""Two birds that are tones, and runs that were enrolled on examples of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from convert_here import make_here
from tiny_embedder import RATE

from ecotf.export.describe.bundle import write_bundle
from ecotf.export.export import ExportJob
from ecotf.export.settings import ExportSettings
from ecotf.tasks.base import get_task
from ecotf.tasks.enrolment.enrol import NewRun, enrol
from ecotf.tasks.enrolment.examples import whole_clips

CALL_S = 0.5
PITCHES = {"owl": 1001.3, "wren": 3001.3}


def tone(pitch: float, rng: np.random.Generator, seconds: float = CALL_S) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return rng.uniform(0.1, 0.3) * np.sin(2 * np.pi * pitch * times + rng.uniform(0, 6))


def write(path: Path, sound: np.ndarray, rng: np.random.Generator) -> None:
    """Write sound in some noise."""
    soundfile.write(path, sound + 0.02 * rng.normal(size=len(sound)), RATE, subtype="PCM_16")


def write_examples(folder: Path, name: str, rng: np.random.Generator) -> None:
    """Write three examples of a bird."""
    for number in range(3):
        write(folder / f"{name}_{number}.wav", tone(PITCHES[name], rng), rng)


def enrolled(folder: Path, name: str) -> Path:
    """Enrol a bird on its examples, with the tiny model and ``quiet.wav`` beside them; return the run."""
    clips = whole_clips(folder / f"{name}_{number}.wav" for number in range(3))
    new = None if (folder / "run").exists() else NewRun(folder / "tiny.tflite", str(folder / "tiny.yaml"))
    return enrol(folder / "run", name, clips, [folder / "quiet.wav"] if new else [], new).path


def exported(run: Path, folder: Path) -> Path:
    """Export a run; return the bundle."""
    exportable = get_task("clips").exportable(get_task("clips").load(run))
    made = make_here(exportable, ExportSettings(rate=RATE), ExportJob(seconds=3.0))
    write_bundle(folder, made.model, made.values, {})
    return folder
