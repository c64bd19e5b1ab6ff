"""Trials of a recipe of calls: trainings of it with other settings, judged on its validation recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecotf.datasets.labels import CALL_LABEL
from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.errors import DataError
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.tasks.calls.data import TrainingData, prepare_data
from ecotf.tasks.calls.recipe import CallRecipe, EvaluationConfig, TrainingPlan
from ecotf.tasks.calls.train import judge, train_detector
from ecotf.training.run_store import Log
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.figures import Figures, detection_figures
from ecotf.tuning.folder_objective import FolderObjective, trial_place
from ecotf.tuning.keys import JUDGES, with_settings
from ecotf.tuning.trial import Objective, Outcome, Task

_FEATURES = ("front_end", "data.channel")
_OF_SPECIES = ("macro_f1", "macro_precision", "macro_recall", "macro_f1_two_recordings")
_OF_LABEL = ("ap", "f1")
_COLUMNS = ("recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score")


class CallsSearch:
    """A recipe of calls, as a search sees it; `ecotf.tuning.searchable.Searchable`."""

    judges: tuple[str, ...] = JUDGES
    columns: tuple[str, ...] | None = ()

    def __init__(self, recipe: CallRecipe) -> None:
        self.recipe = recipe
        self.space = () if recipe.tuning is None else tuple(recipe.tuning.space)

    @property
    def trees_alone(self) -> bool:
        """Whether nothing but the trees is searched."""
        return all(f"{key}.".startswith("trees.") for key in self.space)

    def read(
        self, manifest: Manifest, cache: Path, threads: int, log: Log, progress: Callable[[int, int], None]
    ) -> TrainingData:
        """Compute the spectrograms of all recordings, which trials share, and split the recordings."""
        recipe = self.recipe
        store = SpectrogramStore(cache, recipe.front_end, recipe.data.channel)
        return prepare_data(manifest, recipe.data, store, recipe.seed, log, threads, progress)

    def known_figures(self, data: TrainingData) -> list[str]:
        """List the figures that a trial on these recordings reports, by judging a model that finds nothing."""

        import pandas as pd

        texts = ("recording", "label")
        nothing = pd.DataFrame({name: pd.Series(dtype=object if name in texts else float) for name in _COLUMNS})
        plan = self.recipe.model_copy(update={"evaluation": _without_intervals(self.recipe.evaluation)})
        thresholds = dict.fromkeys([CALL_LABEL, *data.species], 0.5)
        metrics = judge(plan, data, nothing, data.recordings_of("valid"), thresholds)
        # Trees alone have no loss that is comparable.
        losses = [] if self.trees_alone else ["valid_loss"]
        return [*figures_of({"quality": 0.0, "metrics": metrics}), *losses]

    def objective(self, folder: Path, cache: Path, threads: int, log: Log) -> Objective:
        """Make the objective: whole trainings, or the trees alone where nothing else is searched."""
        from ecotf.tasks.calls.trees_objective import TreesObjective

        recipe, manifest = self.recipe, folder / "manifest.csv"
        stopping = None if recipe.tuning is None else recipe.tuning.stopping
        if not self.trees_alone:
            return TrainingObjective(recipe, manifest, folder, cache, threads, stopping, self.space)
        if recipe.mining.rounds:
            log("mining rounds are left out of the trials: what they mine depends on the trees that are searched")
        return TreesObjective(recipe, manifest, folder, cache, threads, None, self.space)

    def read_start(self, paths: Sequence[Path]) -> dict[str, Any]:
        """Read ``cnn_params.csv`` and its like; raises `ConfigError` where they hold nothing for the recipe."""
        from ecotf.tasks.calls.published_params import read_start

        return read_start(paths, self.recipe)

    def write_published(self, tuned: TrainingPlan, folder: Path) -> list[Path]:
        """Write ``cnn_params.csv`` and its like for the parts that their columns can hold."""
        from ecotf.tasks.calls.published_params import write_params

        return write_params(tuned, folder)


class TrainingObjective(FolderObjective[TrainingPlan, TrainingData]):
    """Trains the recipe with a trial's settings.

    Spectrograms are computed once and shared by all trials, unless the front end is searched: then each trial has its
    own and takes them along when it ends.

    Parameters
    ----------
    searched
        The keys of the space.
    """

    def __init__(
        self,
        recipe: TrainingPlan,
        manifest: Path,
        folder: Path,
        cache: Path,
        threads: int,
        stopping: StoppingConfig | None,
        searched: tuple[str, ...],
    ) -> None:
        super().__init__(recipe, manifest, folder, cache, threads, stopping)
        self.searched = searched

    def __call__(self, task: Task, log: Log) -> Outcome:
        """Train, and say how it did on the validation recordings."""
        recipe = self._recipe_of(task)
        place = trial_place(self.folder, task)
        data = self.data_for(recipe, place)
        with self.training(place, task, recipe.seed) as (run_store, watch):
            trained = train_detector(recipe, data, run_store, log, self.threads, watch=watch)
        history = trained.history
        figures = {**figures_of(trained.validation), "valid_loss": float(history["valid_loss"].min())}
        scores: dict[str, list[float]] = {}
        if watch is not None:
            first = history[history["round"] == 0]
            scores = {str(name): rows["valid_score"].tolist() for name, rows in first.groupby("network")}
        return Outcome("done", figures, scores, len(history))

    def data_for(self, recipe: TrainingPlan, place: Path) -> TrainingData:
        """Read the recordings with the recipe's front end; only once where the front end is not searched."""
        own_features = any(key.startswith(_FEATURES) for key in self.searched)
        if self._data is None or own_features:
            cache = place / "spectrograms" if own_features else self.cache
            store = SpectrogramStore(cache, recipe.front_end, recipe.data.channel)
            manifest = read_manifest(self.manifest)
            self._data = prepare_data(manifest, recipe.data, store, recipe.seed, lambda line: None, self.threads)
            if len(self._data.problems):
                # Left out, they would make the trial's validation recordings other ones than everybody else's.
                problem = self._data.problems.iloc[0]
                raise DataError(f"{len(self._data.problems)} recordings cannot be used so; {problem['reason']}")
        return self._data

    def _recipe_of(self, task: Task) -> TrainingPlan:
        recipe = with_settings(self.recipe, task.values)
        return recipe.model_copy(update={"evaluation": _without_intervals(recipe.evaluation)})


def _without_intervals(config: EvaluationConfig) -> EvaluationConfig:
    """Trials are compared by their figures; the intervals would cost more than some trainings."""
    return config.model_copy(update={"bootstrap": 1})


def figures_of(validation: Mapping[str, Any]) -> Figures:
    """Name the figures of a validation (`ecotf.tasks.calls.train.judge_validation`).

    They are ``quality``, ``detection.*``, ``species.*``, ``species.<label>.*`` and ``file_majority_accuracy``.
    """
    metrics = validation["metrics"]
    figures: Figures = {"quality": validation["quality"], **detection_figures("detection", metrics)}
    species = metrics["species"]
    if species is not None:
        figures |= {f"species.{name}": species[name] for name in _OF_SPECIES}
        for label, found in species["per_label"].items():
            figures |= {f"species.{label}.{name}": found[name] for name in _OF_LABEL}
    if metrics["file_majority_accuracy"] is not None:
        figures["file_majority_accuracy"] = metrics["file_majority_accuracy"]["accuracy"]
    return figures
