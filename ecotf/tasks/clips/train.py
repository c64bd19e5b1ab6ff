"""Train on clips: stage after stage, each kept as soon as it is done, and the model judged at the end."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.datasets.manifest import Manifest
from ecotf.detection.segment_model import SegmentModel
from ecotf.evaluation.segment_intervals import Resampling
from ecotf.evaluation.segment_metrics import accuracy, clip_metrics, counted_labels, fit_clip_thresholds
from ecotf.evaluation.thresholds import FittedThresholds, few_of, with_guesses
from ecotf.tasks.base import Trained
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.plan import ClipPlan, StageModels
from ecotf.tasks.clips.refit import kept_an_epoch, with_validation
from ecotf.tasks.clips.scored import ScoredSegments
from ecotf.tasks.clips.stages import ClipStageConfig, Material, stage_name
from ecotf.training.run_store import Log, RunStore, ScoreWatch
from ecotf.training.stages import STAGES, FitPlace
from ecotf.wording import counted


@dataclass(frozen=True)
class TrainedClips(Trained[SegmentModel]):
    """The outcome of a training on clips.

    Attributes
    ----------
    first
        Where ``model`` has learned from the validation recordings, too, the one before it, which has not: it alone
        can be asked for thresholds. None where ``model`` can.
    """

    first: SegmentModel | None = None


def train_clips(
    plan: ClipPlan,
    data: ClipData,
    run_store: RunStore,
    log: Log,
    threads: int = 2,
    watch: ScoreWatch | None = None,
) -> TrainedClips:
    """Run the stages; those that were finished before an interruption are not repeated.

    ``watch`` looks at the epochs of every stage.
    """

    import pandas as pd

    whole = plan.expanded()
    names = [stage_name(number, stage) for number, stage in enumerate(whole.stages)]
    classes, models, first = data.classes(plan.stages[-1]), whole.models(data.cache), len(plan.stages)
    training = _Training(models, data.for_plan(whole), run_store, log, threads, watch)
    for number, (name, stage) in enumerate(zip(names, whole.stages, strict=True)):
        if run_store.step_done(name):
            log(f"stage {number + 1}/{len(names)} {stage.title}: was finished before")
        elif number < first:
            training.run(number, training.data, stage)
        else:
            _learn_again(training, number, names[number - first])
    history = pd.concat([run_store.read_table(f"{name}/history.csv") for name in names], ignore_index=True)
    model = models.finished(run_store.file(names[-1]), classes)
    if len(names) == first:
        return TrainedClips(model, classes, history)
    # From models of its own: the others would put these weights into the network that is kept.
    return TrainedClips(
        model, classes, history, plan.models(data.cache).finished(run_store.file(names[first - 1]), classes)
    )


@dataclass(frozen=True)
class _Training:
    """What every stage of a training needs."""

    models: StageModels
    data: ClipData
    run_store: RunStore
    log: Log
    threads: int
    watch: ScoreWatch | None

    def run(self, number: int, data: ClipData, stage: ClipStageConfig, first: int = 0) -> None:
        """Run a stage on ``data``, and keep what it learned; of a refit ``first`` is where its stages begin."""
        plan, run_store, log = self.data.plan, self.run_store, self.log
        folder = stage_name(number, stage)
        classes = self.data.classes(stage)  # with the recordings of training alone: a refit has the same ones
        model, start = self.models.begin(number, classes, run_store)
        log(
            f"stage {number + 1}/{len(plan.stages)} {stage.title}: {counted(len(classes), 'class', 'classes')}, {start}"
        )
        checkpoint = run_store.path / f".fitting_{folder.replace('/', '_')}.npz"
        logs = plan.tensorboard_folder(run_store.path, stage.title)
        # Each stage has its own random numbers; the run's seed and the stage's number give them.
        seed = int(np.random.SeedSequence([plan.seed, number - first]).generate_state(1)[0] >> 1)
        place = FitPlace(checkpoint, log, self.watch, self.threads, run_store.save_every_s, logs)
        fitted = STAGES.build(stage, model, Material(data, classes, seed), place)
        with run_store.writing(folder, folder=True) as partial:
            self.models.keep(fitted.model, classes, partial)
            fitted.history.to_csv(partial / "history.csv", index=False)
        checkpoint.unlink(missing_ok=True)
        run_store.mark_done(folder, classes=list(classes))

    def keep_as_it_is(self, number: int, source: Path) -> None:
        """Keep for a stage of a refit what is known already, without an epoch."""
        import pandas as pd

        stage = self.data.plan.stages[number]
        folder, classes = stage_name(number, stage), self.data.classes(stage)
        with self.run_store.writing(folder, folder=True) as partial:
            shutil.copytree(source, partial, dirs_exist_ok=True)
            history = pd.read_csv(source / "history.csv")
            history.iloc[:0].to_csv(partial / "history.csv", index=False)
        self.run_store.mark_done(folder, classes=list(classes))


def _learn_again(training: _Training, number: int, before: str) -> None:
    """Run a stage of a refit, with the validation recordings; one of which ``before`` kept nothing is left out."""
    data, run_store = training.data, training.run_store
    stages = data.plan.stages
    first, stage = len(stages) // 2, stages[number]
    lacking = ""
    if not data.recordings_of("valid"):
        lacking = "there are no validation recordings, so there is nothing more to learn from"
    elif not kept_an_epoch(run_store.read_table(f"{before}/history.csv")):
        lacking = f"left out, as no epoch of {stages[number - first].title} was kept"
        before = stage_name(number - 1, stages[number - 1]) if number > first else before
    if lacking:
        training.log(f"stage {number + 1}/{len(stages)} {stage.title}: {lacking}")
        training.keep_as_it_is(number, run_store.file(before))
        return
    training.run(number, with_validation(data), stage, first)


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


def fit_segment_thresholds(scored: ScoredSegments | None, classes: Sequence[str]) -> FittedThresholds:
    """Fit thresholds of segments on the validation recordings; guesses of 0.5 where there are none."""
    if scored is None:
        return FittedThresholds(*with_guesses({}, classes))
    thresholds, unfitted = fit_clip_thresholds(scored.targets, scored.probabilities, classes)
    there, recordings = counted_labels(scored.targets) > 0, scored.table["recording"].to_numpy()
    counted = [
        (name, thresholds[name], int(own.sum()), len(set(recordings[own])))
        for name, own in zip(classes, there.T, strict=True)
        if name not in unfitted
    ]
    return FittedThresholds(thresholds, unfitted, few_of(counted, "segment"))
