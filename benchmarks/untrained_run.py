"""Part of `device.py`: a run of a recipe of clips whose network has learned nothing, to measure what it costs.

The network, the front end and the segments are the recipe's own. It is trained for one epoch on four clips of noise, so
that it goes the way of every run; 527 classes, as in AudioSet, unless the recipe is of fewer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run

_SPLITS = ("train", "train", "train", "train", "valid", "test")


def untrained_run(name: str, n_classes: int, folder: Path, log: Callable[[str], None]) -> Path:
    """Make a run of the recipe ``name`` in ``folder``."""
    recipe = load_any_recipe(name)
    changes = ["evaluation.bootstrap=2", f"name=untrained/{name.replace('/', '_')}"]
    for number in range(len(recipe.stages)):  # type: ignore[union-attr]
        quick = ("epochs=1", "batch=2", "accumulation=1", "sound={}", "image={}", "sampler={name: plain}")
        changes += [f"stages.{number}.{change}" for change in quick]
    quick_recipe = load_any_recipe(name, changes)
    manifest = _noise(folder / "sounds", quick_recipe.sample_rate, quick_recipe.clips.seconds, n_classes)  # type: ignore[union-attr]
    return train_run(quick_recipe, manifest, folder / "runs", log=log, threads=1)  # type: ignore[arg-type]


def _noise(folder: Path, rate: int, seconds: float, n_classes: int) -> Manifest:
    """Six clips of noise; every class is in two of those to train on."""
    folder.mkdir(parents=True)
    rng, rows = np.random.default_rng(0), []
    for number, split in enumerate(_SPLITS):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.05, round(seconds * rate)), rate)
        labels = [f"class {label:03}" for label in range(n_classes) if split != "train" or label % 2 == number % 2]
        rows += [{"recording": f"{number}.wav", "start_s": 0.0, "end_s": seconds, "label": label, "split": split}
                 for label in labels]  # fmt: skip
    return make_manifest(pd.DataFrame(rows), folder, "noise")
