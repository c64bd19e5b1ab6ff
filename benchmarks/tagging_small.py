"""How `tagging/small` was chosen, on folds 1 to 3 of ESC-50's animals, and how it does on each fold and on birds.

    python benchmarks/tagging_small.py inner --data ../shared/data --runs runs/small
    python benchmarks/tagging_small.py inner --data ../shared/data --runs runs/small --name gain --changes KEY=VALUE
    python benchmarks/tagging_small.py outer --data ../shared/data --runs runs/small
    python benchmarks/tagging_small.py birds --data ../shared/data --runs runs/small --recipe birds/small

``inner`` tests each of folds 1 to 3 by a training on the other two; nothing of fold 4 is read. ``outer`` tests each of
the four by a training on the other three. ``birds`` has five folds of phoebe_xc by recording. Nothing is chosen within
a training: all its epochs are done, and the last one counts. Runs are kept and read again, so folds may be done apart.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from birds_runs import short_clips, whole_clips
from birds_species import BASELINE, named_right, species_table, statistics

from ecotf.commands.console import log
from ecotf.errors import ConfigError
from ecotf.evaluation.segment_metrics import wilson_interval
from ecotf.runs import RunFolder
from ecotf.tasks.recipes import load_trainable, read_run_recipe
from ecotf.tasks.training_run import train_run


def main() -> None:
    """Train what is missing, and print the accuracy of each fold and of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("inner", "outer", "birds"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--recipe", default="tagging/small", help=f"or {BASELINE}: logistic regression")
    parser.add_argument("--name", help="of the runs; by default that of the recipe")
    parser.add_argument("--folds", nargs="*", type=int, help="only these")
    parser.add_argument("--seed", type=int, default=1979)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--changes", nargs="*", default=[], metavar="KEY=VALUE", help="of the recipe")
    options = parser.parse_args()
    table = species_table(options.data) if options.what == "birds" else animals(options.data, options.what == "inner")
    if options.recipe == BASELINE:
        right = statistics(table, 1.0)
    else:
        folds = options.folds or sorted(table["number"].unique())
        right = pd.concat([trained(table, int(fold), options) for fold in folds])
    fold = table.set_index("recording")["number"][right.index]
    for number, hits in right.groupby(fold):
        log(f"fold {number}: {line(hits)}")
    log(f"all:    {line(right)}")


def animals(data: Path, inner: bool) -> pd.DataFrame:
    """Return the clips with their published folds, as ``number``."""
    table = short_clips(data, "fewshot/esc50_animals/")
    table = table.assign(number=table["fold"].astype(int))
    return table[table["number"] < 4].reset_index(drop=True) if inner else table


def trained(table: pd.DataFrame, fold: int, options: argparse.Namespace) -> pd.Series:
    """Which recordings of a fold are named right by a training on the others."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    recipe = load_trainable(options.recipe, [*options.changes, f"seed={options.seed}"])
    name = f"{options.name or options.recipe}/{options.what}/seed_{options.seed}/fold_{fold}"
    recipe = recipe.model_copy(update={"name": name})
    done = sorted((options.runs / name).glob("*/environment.json"))
    if done:
        run = RunFolder.open(done[0].parent)
        if read_run_recipe(run.path) != recipe:
            raise ConfigError(f"{run.path}: was trained with another recipe than is asked for; move it away")
    else:
        manifest = whole_clips(table, np.where(table["number"] == fold, "test", "train"))
        cache = options.runs / "cache"
        run = RunFolder.open(train_run(recipe, manifest, options.runs, cache=cache, threads=options.threads))
    return named_right(run.path / "predictions.npz")[0]


def line(hits: pd.Series) -> str:
    """Give a share with its Wilson interval."""
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return f"{int(hits.sum()):3d} of {len(hits)}  {hits.mean():.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
