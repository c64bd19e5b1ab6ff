"""Calls: find every call at a peak of energy, box it, name it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ecotf.datasets.manifest import Manifest
    from ecotf.runs.splits import Splits
    from ecotf.tasks.base import Evaluation, Run
    from ecotf.tasks.calls.data import TrainingData
    from ecotf.tasks.calls.recipe import CallRecipe
    from ecotf.tasks.calls.run import CallsRun
    from ecotf.tasks.calls.train import TrainedCalls
    from ecotf.tasks.reported import Material
    from ecotf.training.run_store import EpochWatch, Log, RunStore
    from ecotf.tuning.searchable import Searchable


class _Calls:
    """The task; see `ecotf.tasks.base.Task`. What is heavy loads when it is asked for."""

    name = "calls"
    cache_name = "spectrograms"

    def recipe_class(self, values: Mapping[str, Any]) -> type[CallRecipe]:
        from ecotf.tasks.calls.recipe import CallRecipe

        return CallRecipe

    def check(self, recipe: CallRecipe) -> None:
        """Do nothing: every network begins with fresh weights."""

    def steps(self, recipe: CallRecipe) -> list[str]:
        return ["rounds/0"]

    def open_data(
        self,
        recipe: CallRecipe,
        manifest: Manifest,
        cache: Path | None,
        log: Log,
        threads: int = 2,
        progress: Callable[[int, int], None] | None = None,
        kept: Splits | None = None,
    ) -> TrainingData:
        from ecotf.pipelines.spectrogram_store import SpectrogramStore
        from ecotf.tasks.calls.data import prepare_data

        store = SpectrogramStore(cache, recipe.front_end, recipe.data.channel)
        return prepare_data(manifest, recipe.data, store, recipe.seed, log, threads, progress, kept)

    def train(
        self,
        recipe: CallRecipe,
        data: TrainingData,
        run: RunStore,
        log: Log,
        threads: int = 2,
        watch: EpochWatch | None = None,
    ) -> TrainedCalls:
        from ecotf.tasks.calls.train import train_detector

        return train_detector(recipe, data, run, log, threads, watch=watch)

    def evaluate(
        self, recipe: CallRecipe, data: TrainingData, trained: TrainedCalls, run: RunStore, log: Log
    ) -> Evaluation:
        from ecotf.tasks.calls.evaluate import evaluate_calls

        return evaluate_calls(recipe, data, trained, run, log)

    def searchable(self, recipe: Any) -> Searchable:
        from ecotf.tasks.calls.objective import CallsSearch

        return CallsSearch(recipe)

    def load(self, folder: Path) -> CallsRun:
        from ecotf.tasks.calls.run import load_run

        return load_run(folder)

    def join(self, runs: Sequence[CallsRun], weights: Sequence[float] | Literal["fit"] | None = None) -> Run:
        from ecotf.tasks.calls.run import join_calls

        return join_calls(runs, weights)

    def report_material(self, folder: Path, clips: int) -> Material:
        from ecotf.tasks.calls.reported import report_calls

        return report_calls(folder, clips)

    def exportable(self, run: CallsRun) -> Any:
        from ecotf.tasks.calls.export import CallExport

        return CallExport(run)


TASK = _Calls()
