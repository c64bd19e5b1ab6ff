"""Trials of a recipe of clips: its stages trained with other settings, judged on validation segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.detection.segment_model import SegmentModel
from ecotf.errors import ConfigError, DataError
from ecotf.tasks.base import Trained
from ecotf.tasks.clips.data import ClipData, prepare_clip_data
from ecotf.tasks.clips.events import fit_event_thresholds, judge_events
from ecotf.tasks.clips.finder_fit import fit_finder
from ecotf.tasks.clips.fit_clips import SCORES
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.scored import ScoredSegments, score_split, with_events
from ecotf.tasks.clips.species_clips import species_clips
from ecotf.tasks.clips.train import judge_segments, train_clips
from ecotf.training.run_store import Log
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.figures import OF_DETECTION, Figures, detection_figures
from ecotf.tuning.folder_objective import FolderObjective, trial_place
from ecotf.tuning.keys import JUDGES, with_settings
from ecotf.tuning.trial import Objective, Outcome, Task

_OF_SEGMENTS = ("cmap", "padded_cmap_5", "padded_cmap_3", "roc_auc", "lrap")
_OF_CLASS = ("ap", "roc_auc")
_JUDGES = (*JUDGES, "refit", "inference.segment_s", "clips.secondary_value", "clips.least_overlap")


class ClipsSearch:
    """A recipe of clips, as a search sees it; `ecotf.tuning.searchable.Searchable`."""

    columns: tuple[str, ...] | None = None  # stages choose by columns of the user's own

    def __init__(self, recipe: ClipPlan) -> None:
        self.recipe = recipe
        # The last stage's data are the classes; a stage is known by its title from trial to trial.
        titles = tuple(f"stages.{number}.title" for number in range(len(recipe.stages)))
        self.judges: tuple[str, ...] = (*_JUDGES, *titles, f"stages.{len(recipe.stages) - 1}.data")

    def read(
        self, manifest: Manifest, cache: Path, threads: int, log: Log, progress: Callable[[int, int], None]
    ) -> ClipData:
        """Open all recordings and split them; what is decoded is kept in ``cache`` as trials need it."""
        return prepare_clip_data(manifest, self.recipe, cache, log)

    def known_figures(self, data: ClipData) -> list[str]:
        """List the figures that a trial on these recordings reports; `DataError` where there is nothing to judge on."""

        import pandas as pd

        plan = self.recipe
        if plan.stages[-1].needs_rule:
            if species_clips(data, "valid", plan.stages[-1]) is None:
                raise DataError("validation has no species; trials cannot be compared (data.valid, data.split_by)")
            return ["accuracy", "valid_loss"]
        classes = data.classes(plan.stages[-1])
        truth = data.rows("valid", plan.stages[-1].data, classes, plan.inference.segment_s, None)
        if truth is None:
            raise DataError("no validation recording has a class of the recipe; trials cannot be compared")
        rows = truth.table
        table = pd.DataFrame({"recording": np.array(truth.recordings, object)[rows.recording], "start_s": rows.start_s})
        nothing = ScoredSegments(table, np.zeros(rows.targets.shape, np.float32), rows.targets, None)
        events = [f"events.{name}" for name in OF_DETECTION] if plan.evaluation.events else []
        return [*figures_of(judge_segments(nothing, classes), None), *events, "valid_loss"]

    def objective(self, folder: Path, cache: Path, threads: int, log: Log) -> Objective:
        """Make the objective: trainings of all stages."""
        stopping = None if self.recipe.tuning is None else self.recipe.tuning.stopping
        return ClipsObjective(self.recipe, folder / "manifest.csv", folder, cache, threads, stopping)

    def read_start(self, paths: Sequence[Path]) -> dict[str, Any]:
        """Refuse: the published tables are of bats."""
        raise ConfigError(f"--start-from: the published tables are of bats; {self.recipe.name} is a recipe of clips")

    def write_published(self, tuned: ClipPlan, folder: Path) -> list[Path]:
        """Write nothing: the published systems of birds keep no such tables."""
        return []


class ClipsObjective(FolderObjective[ClipPlan, ClipData]):
    """Trains all stages with a trial's settings. Decoded sounds are kept once and shared by all trials."""

    def __init__(
        self,
        recipe: ClipPlan,
        manifest: Path,
        folder: Path,
        cache: Path,
        threads: int,
        stopping: StoppingConfig | None,
    ) -> None:
        # Trials are compared by their figures; intervals would only cost time.
        recipe = recipe.for_trials()
        super().__init__(recipe, manifest, folder, cache, threads, stopping)

    def __call__(self, task: Task, log: Log) -> Outcome:
        """Train, and say how it did on the validation recordings."""
        recipe = with_settings(self.recipe, task.values)
        data = self.data_for(recipe)
        with self.training(trial_place(self.folder, task), task, recipe.seed) as (run_store, watch):
            trained = train_clips(recipe, data, run_store, log, self.threads, watch)
        if recipe.stages[-1].needs_rule:
            return _outcome(recipe, trained, _best_accuracy(recipe, trained), watch is not None)
        scored = score_split(trained.model, data, "valid", log)
        if scored is None:
            raise DataError("no validation recording has a class of the recipe; trials cannot be compared")
        return _outcome(recipe, trained, _figures(recipe, data, trained, scored), watch is not None)

    def data_for(self, recipe: ClipPlan) -> ClipData:
        """Open the recordings for a trial's recipe, once."""
        if self._data is None:
            data = prepare_clip_data(read_manifest(self.manifest), self.recipe, self.cache, lambda line: None)
            if len(data.problems):
                # Left out, they would make the trial's validation recordings other ones than everybody else's.
                problem = data.problems.iloc[0]
                raise DataError(f"{len(data.problems)} recordings cannot be read any more; {problem['reason']}")
            self._data = data
        return self._data.for_plan(recipe)


def figures_of(judged: Mapping[str, Any], events: Mapping[str, Any] | None) -> Figures:
    """Name the figures of a validation: ``cmap, padded_cmap_5, ...``, ``species.<label>.*``, ``recordings.accuracy``.

    They are read from what `judge_segments` and, as ``events.*``, `judge_events` of this task give.
    """
    segments = judged["segments"]
    figures: Figures = {name: segments[name] for name in _OF_SEGMENTS}
    figures["recordings.accuracy"] = None if judged["recordings"] is None else judged["recordings"]["accuracy"]
    for label, found in segments["classes"].items():
        figures |= {f"species.{label}.{name}": found[name] for name in _OF_CLASS}
    if events is not None:
        figures |= detection_figures("events", events)
    return {name: None if value is None or np.isnan(value) else value for name, value in figures.items()}


def _figures(recipe: ClipPlan, data: ClipData, trained: Trained[SegmentModel], scored: ScoredSegments) -> Figures:
    classes, events = trained.model.classes, None
    if recipe.evaluation.events and scored.candidates is not None:
        fitted = fit_finder(recipe, data, scored, classes)
        scored = scored if fitted is None else with_events(scored, recipe, classes, fitted.numbers)
        thresholds = fit_event_thresholds(recipe, data, scored, classes).thresholds
        events = judge_events(recipe, data, scored, classes, thresholds, edges=False)
    return figures_of(judge_segments(scored, classes), events)


def _best_accuracy(recipe: ClipPlan, trained: Trained[SegmentModel]) -> Figures:
    """The accuracy in episodes of the epoch that was kept, of the last stage."""
    history = trained.history[trained.history["stage"] == recipe.stages[-1].title]
    best = getattr(recipe.stages[-1], "keep", "best") == "best"
    kept = history["accuracy"].max() if best else history["accuracy"].iloc[-1]
    return {"accuracy": float(kept) if np.isfinite(kept) else None}


def _outcome(recipe: ClipPlan, trained: Trained[SegmentModel], figures: Figures, watched: bool) -> Outcome:
    history = trained.history
    last = history[history["stage"] == history["stage"].iloc[-1]]  # one that had nothing to learn has no epoch
    least = float(last["valid_loss"].min())
    figures["valid_loss"] = least if np.isfinite(least) else None
    scores: dict[str, list[float]] = {}
    if watched:
        # A stage whose classes no validation recording has measures nothing that could be compared.
        # Each stage has one of the scores; a history of before has fewer columns.
        measured = history.assign(score=history.reindex(columns=SCORES).bfill(axis=1).iloc[:, 0])
        each = {str(title): rows["score"] for title, rows in measured.groupby("stage", sort=False)}
        scores = {title: found.tolist() for title, found in each.items() if np.isfinite(found).all()}
    return Outcome("done", figures, scores, len(history))
