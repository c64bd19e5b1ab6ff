"""A tiny ``.tflite`` that hears some pitches, with its description, and a run with a head on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import yaml
from tiny_tflite import TinyModel

from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run

RATE, SAMPLES = 16_000, 4_000
PITCHES = (1000.0, 2000.0, 3000.0, 4000.0)


def tiny_embedder(folder: Path, numbers: int = 2 * len(PITCHES)) -> tuple[str, ...]:
    """Write both into ``folder``; return the settings of a recipe that name them."""
    times = np.arange(SAMPLES) / RATE
    waves = [wave(2 * np.pi * pitch * times) for pitch in PITCHES for wave in (np.sin, np.cos)]
    model = TinyModel((1, SAMPLES), (-1, SAMPLES)).dense(np.stack(waves[:numbers]) * 4 / SAMPLES, "level")
    model.apply("ABS", "embedding").dense(np.ones((2, numbers)), "logits").apply("LOGISTIC", "scores")
    model.write(folder / "tiny.tflite")
    about = {"name": "tflite", "title": "tiny", "licence": "free", "rate_hz": RATE, "samples": SAMPLES,
             "embedding": "embedding", "scores": "scores"}  # fmt: skip
    (folder / "tiny.yaml").write_text(yaml.safe_dump(about))
    return f"embedder.model={folder / 'tiny.tflite'}", f"embedder.description={folder / 'tiny.yaml'}"


def tones(folder: Path, each: int = 4) -> Manifest:
    """Write recordings of two birds, each at a pitch of its own, in noise; the last of each is for validation."""
    rows, rng, times = [], np.random.default_rng(3), np.arange(round(1.7 * RATE)) / RATE
    for name, pitch in (("owl", 1000.0), ("wren", 3000.0)):
        for number in range(each):
            tone = (times % 0.6 < 0.4) * np.sin(2 * np.pi * pitch * times + rng.uniform(0, 6))
            sound = rng.uniform(0.05, 0.3) * tone + 0.03 * rng.normal(size=len(times))
            soundfile.write(folder / f"{name}_{number}.wav", sound, RATE, subtype="PCM_16")
            split = "valid" if number == each - 1 else "train"
            rows.append({"recording": f"{name}_{number}.wav", "start_s": 0.0, "label": name, "split": split})
    return make_manifest(pd.DataFrame(rows).assign(end_s=np.nan), folder, "tones")


def tiny_transfer_run(folder: Path, *settings: str) -> Path:
    """Train a head on it, for segments of four windows; return the run folder."""
    overrides = [*tiny_embedder(folder), "inference.segment_s=1.0", *settings]
    recipe = load_any_recipe("tagging/transfer", overrides)
    return train_run(recipe, tones(folder), folder / "runs", threads=1, log=lambda line: None)
