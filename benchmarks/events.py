"""Recipes of events beside `birds/small` with boxes: folds by recording, AP and F at an IoU of 0.3.

    python benchmarks/events.py simulated --runs FOLDER --fold 0 --only small/events
    python benchmarks/events.py real --data FOLDER --runs FOLDER --only small/events

FOLDER of the data holds `manifest.csv`, `annotations.csv` and the sets of `birds_events.py`. One fold is tested, the
next chooses epochs and thresholds, the others are learned from. Trainings that are finished are not repeated. Results
are in `events.md`; figures also go to the runs as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from birds_events import EVENTS, FOLDS, SETS, SONGS, field_table, fold_side
from events_scenes import CLASSES, scenes

from ecotf.commands.console import log
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.evaluation.average_precision import average_precision
from ecotf.evaluation.event_overlap import LEAST_IOU, Counts, count_overlaps, f_interval
from ecotf.quiet import quieten_libraries
from ecotf.runs import RunFolder
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run

# What is compared: a recipe and its overrides. All but `small` are birds/events with one thing left out or changed.
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "small": ("birds/small", EVENTS),
    "small, longer": ("birds/small", (*EVENTS, "stages.0.epochs=24")),
    "events": ("birds/events", ()),
    "without mining": ("birds/events", ("stages.1.mining=null", "stages.1.draws.mined=0")),
    "without backgrounds": ("birds/events", ("stages.0.sound={}", "stages.1.sound={}")),
    "without frames": ("birds/events", ("stages.0.frames.share=0.05", "stages.1.frames.share=0.05")),
    "plain loss": ("birds/events", ("stages.0.frames={name: focal}", "stages.1.frames={name: focal}")),
}  # fmt: skip


def main() -> None:
    """Train what is asked for and is not there yet, and judge it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("simulated", "real"))
    parser.add_argument("--data", type=Path, help="of real: the folder of the recordings")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--fold", type=int, action="append", help="only this one; may be given again")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="small/events", help=f"with / between them: {', '.join(VARIANTS)}")
    parser.add_argument("--sets", default="", help="of real: comma-separated; all by default")
    parser.add_argument("--clips", type=int, help="of an epoch of birds/events")
    parser.add_argument("--epochs", type=int, help="of the first stage of birds/events, a third of them of the second")
    options = parser.parse_args()
    quieten_libraries()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    file = options.runs / f"{options.what}.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for name, table, classes in _sets(options):
        for variant in options.only.split("/"):
            for seed in range(1979, 1979 + options.seeds):
                folds = options.fold or range(FOLDS)
                runs = [_fold(options, name, table, variant, fold, seed) for fold in folds]
                title = f"{name}, {variant}, seed {seed}, folds {', '.join(map(str, folds))}"
                results[title] = judged(runs, table, classes)
                file.write_text(json.dumps(results, indent=2) + "\n")
                log(title)
                for label, row in results[title].items():
                    low, high = row["f_interval"]
                    log(
                        f"  {label}: {row['recordings']} recordings, {row['events']} events: AP {row['ap']:.3f}  "
                        f"F {row['f']:.3f} [{low:.3f}, {high:.3f}]  precision {row['precision']:.3f}  recall "
                        f"{row['recall']:.3f}"
                    )


def _sets(options: argparse.Namespace) -> list[tuple[str, pd.DataFrame, tuple[str, ...]]]:
    """Return the sets with their folds (column ``number``) and classes."""
    if options.what == "simulated":
        table = scenes(options.runs / "scenes").table.copy()
        names = sorted(table["recording"].unique())
        table["number"] = table["recording"].map({name: i % FOLDS for i, name in enumerate(names)})
        table["recording"] = [str((options.runs / "scenes" / name).resolve()) for name in table["recording"]]
        return [("scenes", table[["recording", "start_s", "end_s", "label", "fully_annotated", "number"]], CLASSES)]
    if options.data is None:
        raise SystemExit("events.py real needs --data FOLDER")
    wanted = options.sets.split(",") if options.sets else list(SETS)
    return [(name, field_table(options.data, name).assign(fully_annotated="yes"), SETS[name]) for name in wanted]


def _fold(
    options: argparse.Namespace, name: str, table: pd.DataFrame, variant: str, fold: int, seed: int
) -> tuple[RunFolder, int]:
    """Return the run that tests a fold."""
    recipe_name, overrides = VARIANTS[variant]
    recipe = load_any_recipe(recipe_name, [*overrides, *_shorter(options, recipe_name), f"seed={seed}"])
    title = f"{name}/{variant.replace(',', '').replace(' ', '_')}_{seed}_fold_{fold}"
    stages = recipe.stages if recipe_name != "birds/small" else recipe.stages[:1]
    recipe = recipe.model_copy(update={"name": title, "stages": stages})
    done = sorted((options.runs / title).glob("*/environment.json"))
    if done:
        return RunFolder.open(done[0].parent), fold
    began = perf_counter()
    run = RunFolder.open(train_run(recipe, fold_manifest(table, fold), options.runs, threads=1))
    log(f"{title}: {perf_counter() - began:.0f} s")
    return run, fold


def _shorter(options: argparse.Namespace, recipe: str) -> list[str]:
    """Return what makes a training of birds/events shorter than its recipe says."""
    if recipe != "birds/events":
        return []
    epochs = [] if not options.epochs else [options.epochs, -(-options.epochs // 3)]
    clips = [options.clips] * 2 if options.clips else []
    return [
        f"stages.{i}.{key}={n}" for key, ns in (("epochs", epochs), ("draws.clips", clips)) for i, n in enumerate(ns)
    ]


def fold_manifest(table: pd.DataFrame, fold: int) -> Manifest:
    """Return the annotations with the side of each recording in a fold."""
    side = {row.recording: fold_side(int(row.number), fold) for row in table.itertuples()}
    return make_manifest(table.drop(columns="number").assign(split=table["recording"].map(side)), "/", "benchmark")


def judged(
    runs: Sequence[tuple[RunFolder, int]], table: pd.DataFrame, classes: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Judge each class over all folds: what each run finds in the recordings that it was not trained on."""
    rows = {}
    for label in classes:
        counts, scores, hits, n_events = [], [], [], 0
        for run, fold in runs:
            found = run.read_table("events.parquet")
            found = found[found["label"] == label]
            kept = found["score"] >= run.read_json("thresholds.json")["events"][label]
            for recording in sorted(table.loc[table["number"] == fold, "recording"].unique()):
                own = table[(table["recording"] == recording) & (table["label"] == label)]
                truth, here = own[["start_s", "end_s"]].to_numpy(float), found["recording"] == recording
                above = found.loc[here & kept, ["start_s", "end_s"]].to_numpy(float)
                counts.append(count_overlaps(above, truth))
                scores.append(found.loc[here, "score"].to_numpy(float))
                hits.append(greedy_hits(found.loc[here, ["start_s", "end_s"]].to_numpy(float), scores[-1], truth))
                n_events += len(truth)
        total = sum(counts, Counts(0, 0, 0))
        rows[label] = {
            "recordings": len(counts), "events": n_events, "f": total.f, "f_interval": f_interval(counts),
            "precision": total.precision, "recall": total.recall,
            "ap": average_precision(np.concatenate(scores), np.concatenate(hits), n_events),
        }  # fmt: skip
    return rows


def greedy_hits(found: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Give each event, best score first, the free annotation that it overlaps most, from an IoU of 0.3 on."""
    hits, free = np.zeros(len(found), bool), np.ones(len(truth), bool)
    for i in np.argsort(-scores, kind="stable"):
        shared = np.clip(np.minimum(found[i, 1], truth[:, 1]) - np.maximum(found[i, 0], truth[:, 0]), 0, None)
        iou = shared / np.maximum(found[i, 1] - found[i, 0] + truth[:, 1] - truth[:, 0] - shared, 1e-12)
        iou = np.where(free, iou, 0.0)
        if len(iou) and iou.max() >= LEAST_IOU:
            hits[i], free[int(iou.argmax())] = True, False
    return hits


if __name__ == "__main__":
    main()
