"""What each part of `fewshot/small` brings, measured on simulated voices that were not trained on.

    python -m ecotf dataset voices --output voices/
    python benchmarks/fewshot_ablation.py --data voices/manifest.csv --runs FOLDER

Three quarters of the voices are learned from (the stage `voices` alone), the others are the classes of 600
episodes, 5-way, of 5 queries (1-shot) or one (5-shot, since a voice has 6 recordings), named by CL2N.
So nothing here is chosen on a class that a test uses. Trainings that are finished are not repeated. The table is
printed for `fewshot_small.md`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from time import process_time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from ecotf.commands.console import log
from ecotf.datasets.manifest import read_manifest
from ecotf.quiet import quieten_libraries
from ecotf.runs import RunFolder
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run

_VOICES = ("data={split_by: species, train: 0.75, valid: 0.0, test: 0.25}", "clips.seconds=1.0", "stages.0.data={}",
           "inference={segment_s: 1.0, window_s: 1.0, score: clip, ends: repeat}",
           "evaluation.episodes=[{way: 5, shots: 1, queries: 5, episodes: 600}, {way: 5, shots: 5, queries: 1, "
           "episodes: 600}]")  # fmt: skip
RULE = "cl2n"
VARIANTS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "without the coding rate": ("stages.0.contrast.coding_rate=0",),
    "contrast to class means": ("stages.0.contrast.to=means",),
    "without changes of the image": ("stages.0.image={}",),
    "without changes of the sound": ("stages.0.sound={}",),
    "decibels down to -80": ("front_end.floor_db=-80",),
}


def main() -> None:
    """Train what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="the recipe has 8")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()
    quieten_libraries()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(1, options.seeds + 1):
        for name in options.only:
            began = process_time()
            rows.setdefault(name, []).append(accuracies(options, name, seed))
            log(f"{name}, seed {seed}: {process_time() - began:.0f} s of processor time, {rows[name][-1]}")
    print("| | 1-shot | 5-shot |\n|---|---|---|")
    for name, found in rows.items():
        print(f"| {name} | " + " | ".join(said([row[i] for row in found]) for i in range(2)) + " |")


def accuracies(options: argparse.Namespace, name: str, seed: int) -> tuple[float, ...]:
    """Return the accuracy of 1-shot and 5-shot episodes of voices that were not trained on."""
    wanted = [*_VOICES, f"stages.0.epochs={options.epochs}", f"seed={seed}", *VARIANTS[name]]
    recipe = load_any_recipe("fewshot/small", wanted)
    title = f"{name.replace(' ', '_')}_{seed}"
    done = sorted((options.runs / title).glob("*/environment.json"))
    if not done:
        recipe = recipe.model_copy(update={"name": title, "stages": recipe.stages[:1]})
        train_run(recipe, read_manifest(options.data), options.runs, threads=1)
        done = sorted((options.runs / title).glob("*/environment.json"))
    settings: list[dict[str, Any]] = RunFolder.open(done[0].parent).read_json("metrics.json")["episodes"]["settings"]
    return tuple(float(one["rules"][RULE]["accuracy"]) for one in settings)


def said(values: list[float]) -> str:
    """Return the mean of the seeds, and the least and the greatest."""
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
