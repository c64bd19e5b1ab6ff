"""Train on clips: stage after stage, each kept as soon as it is done, and the model judged at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.datasets.manifest import Manifest
from ecotf.detection.segment_model import SegmentModel
from ecotf.evaluation.segment_intervals import Resampling
from ecotf.evaluation.segment_metrics import accuracy, clip_metrics, counted_labels, fit_clip_thresholds
from ecotf.tasks.base import Trained
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.plan import ClipPlan, StageModels
from ecotf.tasks.clips.scored import ScoredSegments
from ecotf.tasks.clips.stages import Material, stage_name
from ecotf.training.run_store import Log, RunStore, ScoreWatch
from ecotf.training.stages import STAGES, FitPlace

if TYPE_CHECKING:
    pass


def train_clips(
    plan: ClipPlan,
    data: ClipData,
    run_store: RunStore,
    log: Log,
    threads: int = 2,
    watch: ScoreWatch | None = None,
) -> Trained[SegmentModel]:
    """Run the stages; those that were finished before an interruption are not repeated.

    ``watch`` looks at the epochs of every stage.
    """

    import pandas as pd

    classes, models = data.classes(plan.stages[-1]), plan.models(data.cache)
    for number, stage in enumerate(plan.stages):
        folder = stage_name(number, stage)
        if run_store.step_done(folder):
            log(f"stage {number + 1}/{len(plan.stages)} {stage.title}: was finished before")
        else:
            _run_stage(models, data, run_store, log, threads, number, watch)
    histories = [run_store.read_table(f"{stage_name(i, stage)}/history.csv") for i, stage in enumerate(plan.stages)]
    model = models.finished(run_store.file(stage_name(len(plan.stages) - 1, plan.stages[-1])), classes)
    return Trained(model, classes, pd.concat(histories, ignore_index=True))


def _run_stage(
    models: StageModels,
    data: ClipData,
    run_store: RunStore,
    log: Log,
    threads: int,
    number: int,
    watch: ScoreWatch | None,
) -> None:
    plan = data.plan
    stage, folder = plan.stages[number], stage_name(number, plan.stages[number])
    classes = data.classes(stage)
    model, start = models.begin(number, classes, run_store)
    log(f"stage {number + 1}/{len(plan.stages)} {stage.title}: {len(classes)} classes, {start}")
    checkpoint = run_store.path / f".fitting_{folder.replace('/', '_')}.npz"
    logs = plan.tensorboard_folder(run_store.path, stage.title)
    # Each stage has its own random numbers; the run's seed and the stage's number give them.
    seed = int(np.random.SeedSequence([plan.seed, number]).generate_state(1)[0] >> 1)
    place = FitPlace(checkpoint, log, watch, threads, run_store.save_every_s, logs)
    fitted = STAGES.build(stage, model, Material(data, classes, seed), place)
    with run_store.writing(folder, folder=True) as partial:
        models.keep(fitted.model, classes, partial)
        fitted.history.to_csv(partial / "history.csv", index=False)
    checkpoint.unlink(missing_ok=True)
    run_store.mark_done(folder, classes=list(classes))


def judge_segments(
    scored: ScoredSegments, classes: Sequence[str], resampling: Resampling | None = None
) -> dict[str, Any]:
    """Compute metrics of segments, and of recordings where each has one class (mean of its segments' probabilities).

    With ``resampling``, the metrics of segments have their intervals.
    """
    metrics = clip_metrics(scored.targets, scored.probabilities, classes, resampling)
    recordings = scored.table["recording"].to_numpy()
    names = list(dict.fromkeys(recordings))
    scores = np.stack([scored.probabilities[recordings == name].mean(axis=0) for name in names])
    truth = np.stack([counted_labels(scored.targets[recordings == name]).max(axis=0) for name in names])
    return {"segments": metrics, "recordings": accuracy(truth, scores)}


def resampling_of(plan: ClipPlan, manifest: Manifest, scored: ScoredSegments) -> Resampling:
    """Make the resampling of segments: the groups of the manifest are drawn whole; without groups, the recordings."""
    table = manifest.table.drop_duplicates("recording")
    groups = dict(zip(table["recording"], table["group"], strict=True))
    recordings = scored.table["recording"]
    units = [str(groups[name]) for name in recordings]
    return Resampling(
        units, "recording" if units == list(recordings) else "group", plan.evaluation.bootstrap, plan.seed
    )


def fit_segment_thresholds(scored: ScoredSegments | None, classes: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Fit thresholds of segments on the validation recordings; guesses of 0.5 where there are none."""
    if scored is None:
        return dict.fromkeys(classes, 0.5), list(classes)
    return fit_clip_thresholds(scored.targets, scored.probabilities, classes)
