"""What a trial of a recipe is: a training of it with other settings, judged on its validation recordings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ecotf.datasets.manifest import read_manifest
from ecotf.errors import DataError
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.training.data import TrainingData, prepare_data
from ecotf.training.plan import EvaluationConfig, TrainingPlan
from ecotf.training.progress import Keeper, Tell
from ecotf.training.train import train_detector
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.figures import figures_of
from ecotf.tuning.keys import with_settings
from ecotf.tuning.stopping import MedianWatch
from ecotf.tuning.trial import Outcome, Task

RUNNING = "running"
_FEATURES = ("front_end", "data.channel")


class TrialKeeper(Keeper, Protocol):
    """A run folder that a trial trains in."""

    def close(self) -> None:
        """Give the folder back."""


OpenKeeper = Callable[[Path], TrialKeeper]
"""Opens the run folder of a trial in a folder of its own: a new one, or the one that a kill left there."""


class TrainingObjective:
    """Trains the recipe with a trial's settings.

    Spectrograms are computed once and shared by all trials, unless the front end is searched: then each trial has its
    own and takes them along when it ends.

    Parameters
    ----------
    recipe
        The recipe that the trials are variations of.
    manifest
        With splits, and only recordings that can be read. Nothing is measured on the test recordings.
    folder
        Of the search; a trial works in ``running/<number>`` and can go on from there after a kill.
    cache
        Where shared spectrograms are.
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
        open_keeper: OpenKeeper,
    ) -> None:
        self.recipe = recipe
        self.manifest = manifest
        self.folder = folder
        self.cache = cache
        self.threads = threads
        self.stopping = stopping
        self.searched = searched
        self.open_keeper = open_keeper
        self._data: TrainingData | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}

    def prepare(self, tell: Tell) -> None:
        """Nothing to do: the spectrograms are in the store when the search begins."""

    def __call__(self, task: Task, tell: Tell) -> Outcome:
        """Train, and say how it did on the validation recordings."""
        recipe = self._recipe_of(task)
        place = trial_place(self.folder, task)
        data = self.data_for(recipe, place)
        start_afresh(recipe.seed)
        watch = None if self.stopping is None else MedianWatch(task.limits)
        keeper = self.open_keeper(place)
        try:
            trained = train_detector(recipe, data, keeper, tell, self.threads, watch=watch)
        finally:
            keeper.close()
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


def trial_place(folder: Path, task: Task) -> Path:
    """The trial's own folder in that of the search; what another trial of the same number left there goes."""
    place = folder / RUNNING / f"{task.number:05d}"
    facts, told = place / "trial.json", {"values": task.values, "limits": task.limits}
    if place.exists() and (not facts.exists() or json.loads(facts.read_text()) != json.loads(json.dumps(told))):
        shutil.rmtree(place)
    if not place.exists():
        place.mkdir(parents=True)
        facts.write_text(json.dumps(told))
    return place


def start_afresh(seed: int) -> None:
    """Make a trial independent of what the process did before, and of its memory."""
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _without_intervals(config: EvaluationConfig) -> EvaluationConfig:
    """Trials are compared by their figures; the intervals would cost more than some trainings."""
    return config.model_copy(update={"bootstrap": 1})
