"""What a trial of a recipe is: a training of it with other settings, judged on its validation recordings."""

from __future__ import annotations

from pathlib import Path

from ecotf.datasets.manifest import read_manifest
from ecotf.errors import DataError
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.tasks.calls.data import TrainingData, prepare_data
from ecotf.tasks.calls.recipe import EvaluationConfig, TrainingPlan
from ecotf.tasks.calls.train import train_detector
from ecotf.training.run_store import Log
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.figures import figures_of
from ecotf.tuning.folder_objective import FolderObjective, OpenStore, trial_place
from ecotf.tuning.keys import with_settings
from ecotf.tuning.trial import Outcome, Task

_FEATURES = ("front_end", "data.channel")


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
        open_store: OpenStore,
    ) -> None:
        super().__init__(recipe, manifest, folder, cache, threads, stopping, open_store)
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
        """The recordings as the recipe's front end sees them; read once where it is not searched."""
        own_features = any(key.startswith(_FEATURES) for key in self.searched)
        if self._data is None or own_features:
            cache = place / "spectrograms" if own_features else self.cache
            store = SpectrogramStore(cache, recipe.front_end, recipe.data.channel)  # type: ignore[arg-type]
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
