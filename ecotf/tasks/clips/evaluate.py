"""What ``run_training.py`` does for a recipe of task clips: data, stages, evaluation, report."""

from __future__ import annotations

import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.commands.console import console, log
from ecotf.datasets.manifest import Manifest
from ecotf.evaluation.report import metrics_text
from ecotf.evaluation.segment_metrics import clip_metrics_text
from ecotf.models.tagger import WEIGHTS
from ecotf.runs import RunFolder, environment_facts
from ecotf.tasks.clips.data import ClipData, prepare_clip_data
from ecotf.tasks.clips.pictures import draw_clip_run
from ecotf.tasks.clips.train import (
    ScoredSegments,
    TrainedClips,
    fit_event_thresholds,
    fit_segment_thresholds,
    judge_events,
    judge_segments,
    score_split,
    stage_name,
    train_clips,
)
from ecotf.tasks.recipes import ClipRecipe


def clip_steps(recipe: ClipRecipe) -> list[str]:
    """The steps that make such a run complete."""
    return [*(stage_name(number, stage) for number, stage in enumerate(recipe.stages)), "evaluation"]


def train_clip_run(recipe: ClipRecipe, manifest: Manifest, run: RunFolder, cache: Path, threads: int = 2) -> None:
    """Train ``recipe`` on ``manifest`` into ``run``."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    data = prepare_clip_data(manifest, recipe, cache, log)
    run.write_table("problems.csv", data.problems)
    trained = train_clips(recipe, data, run, log, threads)
    _evaluate(recipe, data, trained, run)
    run.write_json("environment.json", environment_facts(recipe.seed, run.started, datetime.now(UTC).isoformat()))
    run.finish()
    console.print()
    log(run.read_text("report.txt"))
    log(f"run:       {run.path}")
    log(f"next:      python scripts/run_classifier.py --model {run.path} RECORDINGS --output detections/")
    if len(data.problems):
        log(f"{len(data.problems)} recordings could not be used; see {run.path / 'problems.csv'}")


def _evaluate(recipe: ClipRecipe, data: ClipData, trained: TrainedClips, run: RunFolder) -> None:
    """Fit thresholds on the validation recordings, and judge the test ones (or, said so, the validation ones)."""

    import pandas as pd

    model, classes = trained.model, trained.model.classes
    valid = score_split(model, data, "valid", log)
    test = score_split(model, data, "test", log)
    judged = test if test is not None else valid
    thresholds, unfitted = fit_segment_thresholds(valid, classes)
    metrics: dict[str, Any] = {"judged_on": {"split": None if judged is None else "valid" if test is None else "test"}}
    if judged is not None:
        metrics |= judge_segments(judged, classes)
        metrics["judged_on"]["recordings"] = int(judged.table["recording"].nunique())
        _keep_scores(run, "predictions.npz", judged, classes)
    if valid is not None:
        _keep_scores(run, "validation.npz", valid, classes)
    events: dict[str, float] | None = None
    if recipe.evaluation.events and valid is not None and judged is not None and judged.candidates is not None:
        events = fit_event_thresholds(recipe, data, valid, classes).thresholds
        metrics["events"] = judge_events(recipe, data, judged, classes, events)
        run.write_table("events.parquet", judged.candidates)
    with run.writing("model", folder=True) as folder:
        model.network.model.save_weights(folder / WEIGHTS)
        size = (folder / WEIGHTS).stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    metrics["cost"] = {"model_bytes": size, "peak_memory_mb": peak, "parameters": model.network.n_parameters}
    counts = data.side("train", recipe.stages[-1].data).annotations["label"].value_counts()
    table = {"label": list(classes), "training_annotations": [int(counts.get(name, 0)) for name in classes]}
    run.write_table("labels.csv", pd.DataFrame(table))
    run.write_json("thresholds.json", {"thresholds": thresholds, "unfitted": unfitted, "events": events})
    run.write_table("history.csv", trained.history)
    run.write_json("metrics.json", metrics)
    run.write_text("report.txt", _report(recipe, data, metrics, unfitted, test is None))
    draw_clip_run(recipe, data, trained, judged, metrics, events, run)
    run.mark_done("evaluation")


def _keep_scores(run: RunFolder, name: str, scored: ScoredSegments, classes: tuple[str, ...]) -> None:
    with run.writing(name) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            recording=scored.table["recording"].to_numpy(str),
            start_s=scored.table["start_s"].to_numpy(float),
            logits=scored.logits,
            targets=scored.targets,
            classes=np.array(list(classes)),
        )


def _report(recipe: ClipRecipe, data: ClipData, metrics: dict[str, Any], unfitted: list[str], no_test: bool) -> str:
    sides = ", ".join(f"{len(data.manifest.of_split(name).recordings)} {name}" for name in ("train", "valid", "test"))
    lines = [f"{recipe.name}: {recipe.description}", f"recordings: {sides}; left out: {len(data.problems)}"]
    if metrics["judged_on"]["split"] is None:
        lines.append("There are no recordings to judge the model on: no figure here says how good it is.")
    elif no_test:
        lines.append("There are no test recordings: these figures are on the validation recordings, which also chose")
        lines.append("epochs and thresholds. They are too good.")
    if unfitted:
        lines.append(f"thresholds that no validation row could fit (a guess): {', '.join(unfitted)}")
    lines.append("")
    if "rows" in metrics:
        lines.append(clip_metrics_text(metrics["rows"]))
    right = metrics.get("recordings")
    if right is not None:
        low, high = right["interval"]
        lines.append(
            f"recordings named right: {right['right']} of {right['n']}, {right['accuracy']:.3f} "
            f"[{low:.3f}, {high:.3f}] (95 %, Wilson)"
        )
    if "events" in metrics:
        lines += ["", "events:", metrics_text(metrics["events"])]
    cost = metrics["cost"]
    lines.append("")
    lines.append(
        f"peak memory of the training {cost['peak_memory_mb']:.0f} MB; model {cost['model_bytes'] / 1e6:.2f} MB, "
        f"{cost['parameters']:,} parameters"
    )
    return "\n".join(lines) + "\n"
