"""Judge a trained call detector on the test recordings, and write it with its predictions and pictures."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

from ecotf.detection.scoring import Stopwatch
from ecotf.evaluation.edges import Listened, judge_edges
from ecotf.evaluation.edges_report import edges_text
from ecotf.evaluation.report import metrics_text
from ecotf.models.saved import save_detector
from ecotf.tasks.base import Evaluation
from ecotf.tasks.calls.data import TrainingData
from ecotf.tasks.calls.fit_gate import fit_gate
from ecotf.tasks.calls.pictures import draw_run
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.calls.train import TrainedCalls, judge, score_recordings, without_unnamed
from ecotf.training.run_store import Log, RunStore

if TYPE_CHECKING:
    import pandas as pd


def evaluate_calls(
    recipe: CallRecipe, data: TrainingData, trained: TrainedCalls, run: RunStore, log: Log
) -> Evaluation:
    """Judge on the test recordings or, where there are none, on the validation ones; thresholds come with the model."""
    split = "test" if data.recordings_of("test") else "valid"
    stopwatch = Stopwatch()
    candidates = score_recordings(recipe, data, trained.model, split, stopwatch)
    metrics = judge(recipe, data, candidates, data.recordings_of(split), trained.thresholds)
    metrics["edges"] = _edges(recipe, data, candidates, trained.thresholds, split)
    with run.writing("model", folder=True) as folder:
        save_detector(trained.model, folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
    indices = data.indices_of(split)
    minutes = sum(data.spectrograms[index].duration_s for index in indices) / 60
    metrics["judged_on"] = {"split": split, "recordings": len(indices), "minutes": minutes}
    cost = metrics["cost"] = {
        "features_s_per_minute": sum(data.spectrograms[index].seconds_used for index in indices) / minutes,
        "networks_s_per_minute": stopwatch.networks_s / minutes,
        "trees_s_per_minute": stopwatch.trees_s / minutes,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "model_bytes": size,
        "parameters": sum(network.n_parameters for network in trained.model.networks),
    }
    gate = fit_gate(recipe, data, log)
    run.write_table("predictions.parquet", candidates)
    draw_run(recipe, data, candidates, trained.thresholds, metrics, split, run, log)
    notes = trained.validation.get("notes", [])  # a round of an older version has none
    for note in notes:
        log(note)
    head = [*notes]
    if gate is not None:
        head.append(f"gate (run_classifier.py --gate), on the validation recordings: {gate.as_text()}")
    pace = (
        f"one minute of sound takes: features {cost['features_s_per_minute']:.2f} s, detection "
        f"{cost['networks_s_per_minute']:.2f} s, classification {cost['trees_s_per_minute']:.2f} s"
    )
    chosen = {"thresholds": trained.thresholds, "unfitted": trained.validation["unfitted"], "notes": notes}
    return Evaluation(
        metrics, {**chosen, "gate": gate}, head, [metrics_text(metrics), edges_text(metrics["edges"]), pace]
    )


def _edges(
    recipe: CallRecipe, data: TrainingData, candidates: pd.DataFrame, thresholds: dict[str, float], split: str
) -> dict[str, Any]:
    """Judge where the calls' boxes begin and end; recordings of calls are annotated as a whole."""
    recordings = data.manifest.recordings
    listened = {recordings[index]: Listened(data.spectrograms[index].duration_s) for index in data.indices_of(split)}
    return judge_edges(
        without_unnamed(candidates, data, recipe.evaluation.tolerance_s), data.manifest.table, listened,
        labels=data.species, ignored_labels=data.ignored_labels, thresholds=thresholds, config=recipe.evaluation,
        seed=recipe.seed,
    )  # fmt: skip
