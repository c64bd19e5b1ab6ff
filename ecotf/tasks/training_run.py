"""A whole training: a recipe and a manifest in, a run folder out. The same for every task."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ecotf.datasets.against_audio import require_files
from ecotf.datasets.manifest import Manifest
from ecotf.errors import ConfigError, DataError
from ecotf.runs import RunFolder, environment_facts
from ecotf.runs.manifest import keep_manifest, kept_manifest
from ecotf.runs.splits import NAME as SPLITS
from ecotf.runs.splits import read_splits
from ecotf.tasks.base import Data, Evaluation, Trained, get_task
from ecotf.tasks.recipes import read_run_recipe, recipe_text
from ecotf.tasks.recordings import Progress
from ecotf.tasks.report import report_text
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    from ecotf.tasks.recipes import AnyRecipe


def train_run(
    recipe: AnyRecipe,
    manifest: Manifest,
    output: str | Path,
    *,
    cache: Path | None = None,
    threads: int = 2,
    log: Log = print,
    progress: Progress | None = None,
) -> Path:
    """Train a recipe on a manifest's recordings, judge it, and keep all of it in a new run folder.

    Parameters
    ----------
    output
        The folder of all runs; the run is ``output/<recipe name>/<time>``.
    cache
        Where spectrograms or decoded sounds are kept between trainings; by default in ``output``.

    Returns
    -------
    The run folder.

    Raises
    ------
    ConfigError, DataError
        The recipe or the data cannot be trained on; most is found out before the folder is made.

    Examples
    --------
    >>> train_run(load_recipe("bats/field"), read_manifest("calls/manifest.csv"), "runs")  # doctest: +SKIP
    PosixPath('runs/bats/field/2026-06-21_22-15-00')
    """
    task = get_task(recipe.task)
    if not manifest.recordings:
        raise DataError("the manifest names no recording")
    require_files(manifest)
    task.check(recipe)
    run = RunFolder.create(output, recipe.name, steps=[SPLITS, *task.steps(recipe), "evaluation"])
    with _open(run, log):
        run.write_text("recipe.yaml", recipe_text(recipe))
        keep_manifest(run, manifest)
        _train(recipe, run, cache, threads, log, progress)
    return run.path


def resume_run(
    folder: str | Path,
    *,
    cache: Path | None = None,
    threads: int = 2,
    log: Log = print,
    progress: Progress | None = None,
) -> Path:
    """Go on with a training that was interrupted, with its own recipe, manifest and split; as `train_run`.

    Raises
    ------
    ConfigError
        The run is complete, cannot be read, or does not say how its recordings were split.
    """
    run = RunFolder.resume(folder)
    with _open(run, log):
        if SPLITS not in run.steps:
            raise ConfigError(f"{folder}: begun by ecotf 0.1, which did not keep the split of a run; train again")
        _train(read_run_recipe(run.path), run, cache, threads, log, progress)
    return run.path


class _open:
    """Closes the run folder at any end of the training, and logs how to continue."""

    def __init__(self, run: RunFolder, log: Log) -> None:
        self.run, self.log = run, log

    def __enter__(self) -> None:
        self.log(f"run folder: {self.run.path}")

    def __exit__(self, kind: Any, *_: object) -> None:
        self.run.close()
        if kind is not None and self.run.step_done("manifest"):
            self.log(f"to continue: ecotf train --resume {self.run.path}")


def _train(
    recipe: AnyRecipe, run: RunFolder, cache: Path | None, threads: int, log: Log, progress: Progress | None
) -> None:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    task = get_task(recipe.task)
    manifest, names = kept_manifest(run)
    kept = read_splits(run.path).renamed(names) if run.step_done(SPLITS) else None
    runs = run.path.resolve().parents[len(Path(recipe.name).parts)]
    data = task.open_data(recipe, manifest, cache or runs / task.cache_name, log, threads, progress, kept)
    if kept is None:
        assert data.splits is not None
        run.write_table(SPLITS, data.splits.renamed({new: kept for kept, new in names.items()}).table)
        run.mark_done(SPLITS)
    run.write_table("problems.csv", data.problems)
    trained = task.train(recipe, data, run, log, threads)
    _write(recipe, data, trained, task.evaluate(recipe, data, trained, run, log), run)
    run.mark_done("evaluation")
    run.write_json("environment.json", environment_facts(recipe.seed, run.started, datetime.now(UTC).isoformat()))
    run.finish()


def _write(recipe: AnyRecipe, data: Data, trained: Trained[Any], evaluation: Evaluation, run: RunFolder) -> None:
    """Write the tables and texts that every run has."""
    counts = data.manifest.of_split("train").annotations["label"].value_counts()
    number = [int(counts.get(name, 0)) for name in trained.classes]
    run.write_table("labels.csv", pd.DataFrame({"label": trained.classes, "training_annotations": number}))
    run.write_json("thresholds.json", evaluation.thresholds)
    run.write_table("history.csv", trained.history)
    run.write_json("metrics.json", evaluation.metrics)
    run.write_text("report.txt", report_text(recipe, data, evaluation))
