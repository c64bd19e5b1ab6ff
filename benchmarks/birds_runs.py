"""Trainings of `birds/small` for the benchmarks: made once, and read again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import ConfigError
from ecotf.runs import RunFolder
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.recipes import load_any_recipe, read_run_recipe
from ecotf.tasks.training_run import train_run

FOLDS = 5
# Which classes there are in other sounds: one stage, of which only the backbone is kept.
PRETRAIN = ("stages.0.title=pretrain", "stages.0.batch=32", "stages.0.epochs=55")


def run_once(manifest: Manifest, options: argparse.Namespace, name: str, overrides: Sequence[str]) -> RunFolder:
    """Train and judge the recipe's first stage as ``run_training.py`` does; once.

    Raises `ConfigError` where the run that is kept has another recipe.
    """
    recipe = load_any_recipe("birds/small", overrides)
    assert isinstance(recipe, ClipRecipe)
    recipe = recipe.model_copy(update={"name": name, "stages": recipe.stages[:1]})
    done = sorted((options.runs / name).glob("*/environment.json"))
    if done:
        kept = RunFolder.open(done[0].parent)
        if read_run_recipe(kept.path) != recipe:
            raise ConfigError(f"{kept.path}: was trained with another recipe than is asked for; move it away")
        return kept
    return RunFolder.open(train_run(recipe, manifest, options.runs, threads=options.threads))


def short_clips(data: Path, folder: str) -> pd.DataFrame:
    """``recording, label, fold`` of the clips whose path begins so."""
    manifest = pd.read_csv(data / "manifest.csv")
    manifest["recording"] = [str((data / path).resolve()) for path in manifest["path"]]
    return manifest[manifest["path"].str.startswith(folder)].reset_index(drop=True)


def whole_clips(table: pd.DataFrame, split: Sequence[str]) -> Manifest:
    """Clips with one label each, and the side that each is on."""
    rows = pd.DataFrame({"recording": table["recording"], "start_s": 0.0, "end_s": np.nan, "label": table["label"]})
    return make_manifest(rows.assign(group=table["recording"], split=list(split)), "/", "benchmark")


def pretrained(options: argparse.Namespace) -> Path:
    """Return the stage that learned the 16 other classes of the few-shot set: no recording of the species is in it."""
    others = short_clips(options.data, "fewshot/esc")
    split = np.where(others["fold"] == 4, "valid", "train")
    run = run_once(whole_clips(others, split), options, "others", PRETRAIN)
    return (run.path / "stages/0_pretrain").resolve()
