"""What tests of trainings on clips share: recordings that beep, a tiny backbone, and a run of the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.training_run import resume_run, train_run
from ecotf.training.run_store import Log

RATE = 32000
PITCH = {"robin": 2000.0, "wren": 4000.0, "crow": 1000.0, "owl": 500.0}
TINY = "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}"


def beeps(folder: Path, splits: Sequence[str], species: Sequence[str] = tuple(PITCH), seconds: float = 2.0) -> Manifest:
    """Of each species one recording a split, at its own pitch; the owl is there to pre-train on."""
    rows, rng = [], np.random.default_rng(0)
    times = np.arange(round(seconds * RATE)) / RATE
    for name in species:
        for number, split in enumerate(splits):
            sound = 0.3 * np.sin(2 * np.pi * PITCH[name] * times) * (times % 0.4 < 0.2)
            sound += 0.01 * rng.normal(size=len(times))
            soundfile.write(folder / f"{name}_{number}.wav", sound.astype(np.float32), RATE)
            rows.append({
                "recording": f"{name}_{number}.wav", "start_s": 0.0, "end_s": np.nan, "label": name, "split": split,
                "role": "pretrain" if name == "owl" else "",
            })  # fmt: skip
    return make_manifest(pd.DataFrame(rows), folder, "beeps")


def train(
    recipe: ClipRecipe,
    manifest: Manifest,
    folder: Path,
    resume: Path | None = None,
    quick: bool = False,
    log: Log = print,
) -> Path:
    """Train and judge; ``quick`` does not compile the steps, which takes longer than a few of them."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(quick)
    try:
        if resume is not None:
            return resume_run(resume, cache=manifest.root / "sounds", log=log, threads=1)
        return train_run(recipe, manifest, folder / "runs", cache=manifest.root / "sounds", log=log, threads=1)
    finally:
        tf.config.run_functions_eagerly(False)
