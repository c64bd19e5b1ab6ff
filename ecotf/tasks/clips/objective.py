"""Trials of a recipe of clips: its stages trained with other settings, judged on the rows of validation recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ecotf.datasets.manifest import read_manifest
from ecotf.errors import DataError
from ecotf.tasks.clips.data import ClipData, prepare_clip_data
from ecotf.tasks.clips.recipe import ClipTrainingPlan
from ecotf.tasks.clips.train import (
    ScoredSegments,
    TrainedClips,
    fit_event_thresholds,
    judge_events,
    judge_segments,
    score_split,
    train_clips,
)
from ecotf.training.run_store import Log
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.figures import OF_DETECTION, Figures, clip_figures_of
from ecotf.tuning.folder_objective import FolderObjective, OpenStore, trial_place
from ecotf.tuning.keys import with_settings
from ecotf.tuning.trial import Outcome, Task


class ClipsObjective(FolderObjective[ClipTrainingPlan, ClipData]):
    """Trains all stages with a trial's settings. Decoded sounds are kept once and shared by all trials."""

    def __init__(
        self,
        recipe: ClipTrainingPlan,
        manifest: Path,
        folder: Path,
        cache: Path,
        threads: int,
        stopping: StoppingConfig | None,
        open_store: OpenStore,
    ) -> None:
        # Trials are compared by their figures; intervals would only cost time.
        evaluation = recipe.evaluation.model_copy(update={"bootstrap": 1})
        recipe = recipe.model_copy(update={"evaluation": evaluation, "tensorboard": False})
        super().__init__(recipe, manifest, folder, cache, threads, stopping, open_store)

    def __call__(self, task: Task, log: Log) -> Outcome:
        """Train, and say how it did on the validation recordings."""
        recipe = with_settings(self.recipe, task.values)
        data = self.data_for(recipe)
        with self.training(trial_place(self.folder, task), task, recipe.seed) as (run_store, watch):
            trained = train_clips(recipe, data, run_store, log, self.threads, watch)
        scored = score_split(trained.model, data, "valid", log)
        if scored is None:
            raise DataError("no validation recording has a class of the recipe; trials cannot be compared")
        return _outcome(recipe, data, trained, scored, watch is not None)

    def data_for(self, recipe: ClipTrainingPlan) -> ClipData:
        """The recordings for a trial's recipe; opened once."""
        if self._data is None:
            data = prepare_clip_data(read_manifest(self.manifest), self.recipe, self.cache, lambda line: None)
            if len(data.problems):
                # Left out, they would make the trial's validation recordings other ones than everybody else's.
                problem = data.problems.iloc[0]
                raise DataError(f"{len(data.problems)} recordings cannot be read any more; {problem['reason']}")
            self._data = data
        return self._data.for_plan(recipe)


def reported_figures(plan: ClipTrainingPlan, data: ClipData) -> list[str]:
    """The figures that a trial on these recordings reports; raises `DataError` where there is nothing to judge on."""
    classes = data.classes(plan.stages[-1])
    truth = data.rows("valid", plan.stages[-1].data, classes, plan.inference.segment_s, None)
    if truth is None:
        raise DataError("no validation recording has a class of the recipe; trials cannot be compared")
    rows = truth.table
    table = pd.DataFrame({"recording": np.array(truth.recordings, object)[rows.recording], "start_s": rows.start_s})
    nothing = ScoredSegments(table, np.zeros(rows.targets.shape, np.float32), rows.targets, None)
    figures = clip_figures_of(judge_segments(nothing, classes), None)
    events = [f"events.{name}" for name in OF_DETECTION] if plan.evaluation.events else []
    return [*figures, *events, "valid_loss"]


def _outcome(
    recipe: ClipTrainingPlan, data: ClipData, trained: TrainedClips, scored: ScoredSegments, watched: bool
) -> Outcome:
    classes, history = trained.model.classes, trained.history
    events = None
    if recipe.evaluation.events and scored.candidates is not None:
        thresholds = fit_event_thresholds(recipe, data, scored, classes).thresholds
        events = judge_events(recipe, data, scored, classes, thresholds)
    figures: Figures = clip_figures_of(judge_segments(scored, classes), events)
    last = history[history["stage"] == recipe.stages[-1].title]
    least = float(last["valid_loss"].min())
    figures["valid_loss"] = least if np.isfinite(least) else None
    scores: dict[str, list[float]] = {}
    if watched:
        # A stage whose classes no validation recording has measures nothing that could be compared.
        each = {str(title): rows["padded_cmap"] for title, rows in history.groupby("stage", sort=False)}
        scores = {title: found.tolist() for title, found in each.items() if np.isfinite(found).all()}
    return Outcome("done", figures, scores, len(history))
