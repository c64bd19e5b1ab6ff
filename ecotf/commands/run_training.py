"""``run_training.py``: a recipe and a manifest in, a run folder out."""

from __future__ import annotations

import argparse
import os
import resource
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ecotf.commands.console import console, log, progress_bar
from ecotf.config import read_yaml
from ecotf.datasets.against_audio import require_files
from ecotf.datasets.manifest import Manifest, make_manifest, read_manifest, write_manifest
from ecotf.detection.gate import FittedGate
from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError, DataError
from ecotf.evaluation.report import metrics_text
from ecotf.models.saved import save_detector
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.runs import RunFolder, environment_facts
from ecotf.tasks.calls.data import TrainingData, prepare_data
from ecotf.tasks.calls.fit_gate import fit_gate
from ecotf.tasks.calls.pictures import draw_run
from ecotf.tasks.calls.train import Trained, judge, score_recordings, train_detector
from ecotf.tasks.clips.evaluate import clip_steps, train_clip_run
from ecotf.tasks.recipes import (
    ClipRecipe,
    EnsembleRecipe,
    Recipe,
    load_any_recipe,
    parse_recipe,
    recipe_names,
    recipe_text,
)

EXAMPLES = """\
examples:
  python scripts/run_training.py --recipe bats/field --data calls/manifest.csv
  python scripts/run_training.py --recipe bats/hybrid_cnn_xgboost --data calls/manifest.csv mining.rounds=1 seed=7
  python scripts/run_training.py --resume runs/bats/field/2026-06-21_22-15-00

The manifest is a table with one row for each annotated call: recording, start_s, end_s, label and, if known, low_hz,
high_hz, group (site or night; a split never cuts one) and split (train, valid, test). scripts/make_dataset.py makes
one from Raven, Audacity, batdetect2 and other annotations. Recordings without a call are one row with an empty label.

Any key of the recipe can be set as key=value; the run folder's recipe.yaml shows them all.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--recipe", metavar="NAME", help=f"one of {', '.join(recipe_names())}, or a YAML file")
    parser.add_argument(
        "--data", metavar="MANIFEST", type=Path, help="manifest of the annotated recordings, CSV or Parquet"
    )
    parser.add_argument("--runs", metavar="FOLDER", type=Path, default=Path("runs"), help="where runs are kept (runs)")
    parser.add_argument("--resume", metavar="RUN", type=Path, help="go on with a training that was interrupted")
    parser.add_argument(
        "--cache", metavar="FOLDER", type=Path, help="where spectrograms or sounds are kept between runs (in RUNS)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="processor cores to use (all)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of the recipe to change")


def main(arguments: Sequence[str]) -> int:
    """Train, evaluate and write the run folder."""
    parser = argparse.ArgumentParser(
        prog="run_training.py",
        description="Train a model on annotated recordings: a detector of calls, or a tagger of clips.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    options = parser.parse_intermixed_args(arguments)
    if options.threads < 1:
        raise ConfigError(f"--threads {options.threads}: at least 1 is needed")
    if options.resume is not None:
        if options.recipe or options.data or options.overrides:
            raise ConfigError(
                "--resume takes the recipe and the data from the run; leave --recipe, --data and key=value out"
            )
        run = RunFolder.resume(options.resume)
    else:
        if not options.recipe or options.data is None:
            raise ConfigError("--recipe and --data are needed (or --resume RUN); --help shows examples")
        recipe = _trainable(load_any_recipe(options.recipe, options.overrides))
        manifest = read_manifest(options.data)
        if not manifest.recordings:
            raise DataError(f"{options.data}: the manifest names no recording")
        require_files(manifest)
        run = RunFolder.create(options.runs, recipe.name, steps=_steps_of(recipe))
    try:
        if options.resume is None:
            run.write_text("recipe.yaml", recipe_text(recipe))
            write_manifest(manifest, run.path / "manifest.csv")
            run.mark_done("manifest", root=os.path.abspath(manifest.root))
        else:
            recipe = _trainable(parse_recipe(read_yaml(run.file("recipe.yaml")), str(run.file("recipe.yaml"))))
            manifest = _manifest_of(run)
        log(f"run folder: {run.path}")
        runs = run.path.resolve().parents[len(Path(recipe.name).parts)]
        if isinstance(recipe, ClipRecipe):
            train_clip_run(recipe, manifest, run, options.cache or runs / "sounds", options.threads)
        else:
            train_run(recipe, manifest, run, options.cache or runs / "spectrograms", options.threads)
    except BaseException:
        run.close()
        if run.has("manifest.csv"):
            log(f"to go on: python scripts/run_training.py --resume {run.path}")
        raise
    return 0


def _trainable(recipe: Recipe | ClipRecipe | EnsembleRecipe) -> Recipe | ClipRecipe:
    if isinstance(recipe, EnsembleRecipe):
        raise ConfigError(
            f"{recipe.name} is an ensemble: train its members one by one "
            f"({', '.join(member.recipe for member in recipe.members)}), then run_classifier.py --model RUN "
            f"--model RUN ... --ensemble {recipe.name}"
        )
    return recipe


def _steps_of(recipe: Recipe | ClipRecipe) -> list[str]:
    return clip_steps(recipe) if isinstance(recipe, ClipRecipe) else ["rounds/0", "evaluation"]


def _manifest_of(run: RunFolder) -> Manifest:
    """The run's manifest, its recordings called as they were when the run began, so that both name them alike."""
    manifest = read_manifest(run.file("manifest.csv"))
    root = run.step_facts("manifest").get("root")
    if root is None or not os.path.isdir(root):
        return manifest
    names = {
        name: os.path.relpath(manifest.path_of(name), root) for name in manifest.recordings if not os.path.isabs(name)
    }
    table = manifest.table.assign(recording=manifest.table["recording"].map(lambda name: names.get(name, name)))
    return make_manifest(table, root, str(run.file("manifest.csv")))


def train_run(recipe: Recipe, manifest: Manifest, run: RunFolder, cache: Path, threads: int = 2) -> None:
    """Train ``recipe`` on ``manifest`` into ``run``: data, rounds, evaluation, pictures."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    channel = recipe.data.channel
    store = SpectrogramStore(cache, recipe.front_end, channel)  # type: ignore[arg-type]
    with progress_bar() as bar:
        task = bar.add_task("reading recordings", total=len(manifest.recordings))
        data = prepare_data(
            manifest, recipe.data, store, recipe.seed, log, threads, lambda done, of: bar.update(task, completed=done)
        )
    run.write_table("problems.csv", data.problems)
    trained = train_detector(recipe, data, run, log, threads)
    evaluate_run(recipe, data, trained, run)
    run.write_json("environment.json", environment_facts(recipe.seed, run.started, datetime.now(UTC).isoformat()))
    run.finish()
    _summarise(run, data)


def evaluate_run(recipe: Recipe, data: TrainingData, trained: Trained, run: RunFolder) -> None:
    """Write the model and judge it on the test recordings, or, said so, on the validation ones if there is no test."""
    split = "test" if data.recordings_of("test") else "valid"
    stopwatch = Stopwatch()
    candidates = score_recordings(recipe, data, trained.detector, split, stopwatch)
    metrics = judge(recipe, data, candidates, data.recordings_of(split), trained.thresholds)
    with run.writing("model", folder=True) as folder:
        save_detector(trained.detector, folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
    indices = data.indices_of(split)
    minutes = sum(data.spectrograms[index].duration_s for index in indices) / 60
    metrics["judged_on"] = {"split": split, "recordings": len(indices), "minutes": minutes}
    metrics["cost"] = {
        "features_s_per_minute": sum(data.spectrograms[index].seconds_used for index in indices) / minutes,
        "networks_s_per_minute": stopwatch.networks_s / minutes,
        "trees_s_per_minute": stopwatch.trees_s / minutes,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "model_bytes": size,
    }
    run.write_table("labels.csv", _label_table(data))
    gate = fit_gate(recipe, data, log)
    fitted = {"thresholds": trained.thresholds, "unfitted": trained.unfitted, "gate": gate}
    run.write_json("thresholds.json", fitted)
    run.write_table("history.csv", trained.history)
    run.write_table("predictions.parquet", candidates)
    run.write_json("metrics.json", metrics)
    run.write_text("report.txt", _report(recipe, data, trained, metrics, split, gate))
    draw_run(recipe, data, candidates, trained.thresholds, metrics, split, run)
    run.mark_done("evaluation")


def _label_table(data: TrainingData):  # type: ignore[no-untyped-def]
    import pandas as pd

    counts = data.manifest.of_split("train").annotations["label"].value_counts()
    return pd.DataFrame({"label": data.species, "training_calls": [int(counts[label]) for label in data.species]})


def _report(
    recipe: Recipe, data: TrainingData, trained: Trained, metrics: dict, split: str, gate: FittedGate | None
) -> str:
    sides = ", ".join(f"{len(data.recordings_of(name))} {name}" for name in ("train", "valid", "test"))
    lines = [f"{recipe.name}: {recipe.description}", f"recordings: {sides}; left out: {len(data.problems)}"]
    if split == "valid":
        lines.append(
            "There are no test recordings: these figures are on the validation recordings, which also chose the"
        )
        lines.append("epoch and the thresholds. They are too good.")
    if trained.unfitted:
        lines.append(f"thresholds that no validation call could fit (a guess): {', '.join(trained.unfitted)}")
    if gate is not None:
        lines.append(f"gate (run_classifier.py --gate), on the validation recordings: {gate.as_text()}")
    cost = metrics["cost"]
    lines.append("")
    lines.append(metrics_text(metrics))
    lines.append("")
    lines.append(
        f"one minute of sound takes: features {cost['features_s_per_minute']:.2f} s, detection "
        f"{cost['networks_s_per_minute']:.2f} s, classification {cost['trees_s_per_minute']:.2f} s"
    )
    lines.append(
        f"peak memory of the training {cost['peak_memory_mb']:.0f} MB; model {cost['model_bytes'] / 1e6:.2f} MB"
    )
    return "\n".join(lines) + "\n"


def _summarise(run: RunFolder, data: TrainingData) -> None:
    console.print()
    log(run.read_text("report.txt"))
    log(f"run:       {run.path}")
    log(f"pictures:  {run.path / 'plots'}")
    log(f"next:      python scripts/run_classifier.py --model {run.path} RECORDINGS --output detections/")
    if len(data.problems):
        log(f"{len(data.problems)} recordings could not be used; see {run.path / 'problems.csv'}")
