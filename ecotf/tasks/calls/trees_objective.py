"""Trials where the trees alone are searched: the network is trained and asked once, and all trials share that."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.files import atomic_file, atomic_folder
from ecotf.models.detector import Detector
from ecotf.models.saved import load_weights, save_detector
from ecotf.tasks.calls.data import every_peak, training_patches
from ecotf.tasks.calls.fit_network import FitNetworkStage
from ecotf.tasks.calls.fit_trees import fit_trees_on, tree_features
from ecotf.tasks.calls.objective import TrainingObjective, figures_of
from ecotf.tasks.calls.recipe import TrainingPlan
from ecotf.tasks.calls.train import fresh_detector, judge_validation, train_detector
from ecotf.training.run_store import Log
from ecotf.tuning.folder_objective import start_afresh, trial_store
from ecotf.tuning.trial import Outcome, Task

SHARED = "shared"
_MOST_BYTES = 1 << 30


class TreesObjective(TrainingObjective):
    """Fits the trees with a trial's settings on features that were computed once.

    Mining rounds are left out: what they mine depends on the trees, so no two trials could share a network.
    """

    _network: Detector | None = None
    _loaded: dict[bool, tuple[np.ndarray, np.ndarray]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_network": None, "_loaded": None}

    def prepare(self, log: Log) -> None:
        """Train the network and compute the features of all training patches, unless that was done before."""
        place = self.folder / SHARED
        plan = self._network_alone()
        data = self.data_for(self.recipe, place)
        if not (place / "network").exists():
            log("training the network once, for all trials")
            start_afresh(plan.seed)
            run_store = trial_store(place)
            try:
                trained = train_detector(plan, data, run_store, log, self.threads)
            finally:
                run_store.close()
            with atomic_folder(place / "network") as partial:
                save_detector(trained.model, partial)
            shutil.rmtree(run_store.path)
        assert self.recipe.trees is not None
        self._features(self.recipe.trees.measures)

    def __call__(self, task: Task, log: Log) -> Outcome:
        """Fit the trees, and say how they do on the validation recordings."""
        recipe = self._recipe_of(task)
        assert recipe.trees is not None  # a recipe without has no key to search
        data = self.data_for(recipe, self.folder / SHARED)
        features, targets = self._features(recipe.trees.measures)
        trees = fit_trees_on(recipe.trees, features, targets, recipe.seed, self.threads, lambda line: None)
        log(f"{trees.n_trees} trees")
        validation = judge_validation(recipe, data, self._detector().with_trees(trees))
        return Outcome("done", dict(figures_of(validation)))

    def _network_alone(self) -> TrainingPlan:
        stages = tuple(stage for stage in self.recipe.stages if isinstance(stage, FitNetworkStage))
        mining = self.recipe.mining.model_copy(update={"rounds": 0})
        return self.recipe.model_copy(update={"trees": None, "stages": stages, "mining": mining})

    def _detector(self) -> Detector:
        """Return the trained network; it keeps its outputs on the validation patches."""
        if self._network is None:
            data = self.data_for(self.recipe, self.folder / SHARED)
            built = load_weights(
                fresh_detector(self._network_alone(), data.species), self.folder / SHARED / "network", trees=False
            )
            self._network = RememberingDetector(built.front_end, built.patches, built.species, built.networks)
        return self._network

    def _features(self, measures: bool) -> tuple[np.ndarray, np.ndarray]:
        """Features and targets of the training patches, with or without the measures of the peaks; computed once."""
        loaded = self._loaded if self._loaded is not None else {}
        self._loaded = loaded
        if measures not in loaded:
            file = self.folder / SHARED / f"features{'_measures' if measures else ''}.npz"
            if not file.exists():
                self._compute_features(file, measures)
            with np.load(file) as kept:
                loaded[measures] = kept["features"], kept["targets"]
        return loaded[measures]

    def _compute_features(self, file: Path, measures: bool) -> None:
        recipe, data = self.recipe, self.data_for(self.recipe, self.folder / SHARED)
        if recipe.patches.at == "peaks":
            table, measured = every_peak(data, "train", recipe.patches, recipe.peaks)
        else:
            table, measured = training_patches(data, "train", recipe.patches, recipe.peaks, recipe.seed), None
        network = self._detector().networks[0]
        features, targets = tree_features(
            network, table, data.spectrograms, recipe.patches, measured if measures else None
        )
        with atomic_file(file) as partial, partial.open("wb") as stream:
            np.savez(stream, features=features, targets=targets)


@dataclass(frozen=True)
class RememberingDetector(Detector):
    """A detector whose networks score the same patches only once, for all trees."""

    remembered: dict[tuple[bool, bytes], list[np.ndarray]] = field(default_factory=dict, compare=False, repr=False)
    remembered_bytes: list[int] = field(default_factory=lambda: [0], compare=False, repr=False)

    def run(self, patches: np.ndarray) -> list[np.ndarray]:
        """Run the network as `Detector.run` does."""
        digest = hashlib.blake2b(np.ascontiguousarray(patches).tobytes(), digest_size=16).digest()
        key = self.needs_measures, digest
        if key in self.remembered:
            return self.remembered[key]
        outputs = super().run(patches)
        size = sum(output.nbytes for output in outputs)
        if self.remembered_bytes[0] + size <= _MOST_BYTES:
            self.remembered[key] = outputs
            self.remembered_bytes[0] += size
        return outputs
