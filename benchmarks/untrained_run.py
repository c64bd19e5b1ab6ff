"""Part of `device.py`: a run of a recipe of clips whose network has learned nothing, to measure what it costs.

The network, the front end and the segments are the recipe's own. It is trained for one epoch on four clips of noise, so
that it goes the way of every run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import ConfigError
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run

_SPLITS = ("train", "train", "train", "train", "valid", "test")


def untrained_run(name: str, n_classes: int, folder: Path, log: Callable[[str], None]) -> Path:
    """Make a run of the recipe ``name`` in ``folder``; raises `ConfigError` where it is none of clips."""
    changes = ["evaluation.bootstrap=2", f"name=untrained/{Path(name).stem}"]
    for number in range(len(_clips_recipe(name).stages)):
        quick = ("epochs=1", "batch=2", "accumulation=1", "sound={}", "image={}", "sampler={name: plain}")
        changes += [f"stages.{number}.{change}" for change in quick]
    recipe = _clips_recipe(name, changes)
    manifest = _noise(folder / "sounds", recipe.sample_rate, recipe.clips.seconds, n_classes)
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)  # to compile two steps takes longer than the steps
    try:
        return train_run(recipe, manifest, folder / "runs", log=log, threads=1)
    finally:
        tf.config.run_functions_eagerly(False)


def _clips_recipe(name: str, changes: Sequence[str] = ()) -> ClipRecipe:
    recipe = load_any_recipe(name, changes)
    if not isinstance(recipe, ClipRecipe):
        raise ConfigError(f"--recipes {name}: a recipe of task {recipe.task}; here one of task clips is needed")
    return recipe


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
