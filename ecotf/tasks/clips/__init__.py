"""Clips: score segments of some seconds and the frames inside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ecotf.datasets.manifest import Manifest
    from ecotf.runs.splits import Splits
    from ecotf.tasks.base import Evaluation, Run
    from ecotf.tasks.clips.data import ClipData
    from ecotf.tasks.clips.plan import ClipPlan
    from ecotf.tasks.clips.run import ClipsRun
    from ecotf.tasks.clips.train import TrainedClips
    from ecotf.tasks.reported import Material
    from ecotf.training.run_store import Log, RunStore, ScoreWatch
    from ecotf.tuning.searchable import Searchable


class _Clips:
    """The task; see `ecotf.tasks.base.Task`. What is heavy loads when it is asked for."""

    name = "clips"
    cache_name = "sounds"

    def recipe_class(self, values: Mapping[str, Any]) -> type[ClipPlan]:
        if "embedder" in values:
            from ecotf.tasks.clips.transfer_recipe import TransferRecipe, has_episodic_head

            if has_episodic_head(values):
                from ecotf.tasks.clips.episodic_transfer import EpisodicTransferRecipe

                return EpisodicTransferRecipe
            return TransferRecipe
        from ecotf.tasks.clips.recipe import ClipRecipe

        return ClipRecipe

    def check(self, recipe: ClipPlan) -> None:
        recipe.check()

    def steps(self, recipe: ClipPlan) -> list[str]:
        from ecotf.tasks.clips.stages import stage_name

        return [stage_name(number, stage) for number, stage in enumerate(recipe.expanded().stages)]

    def open_data(
        self,
        recipe: ClipPlan,
        manifest: Manifest,
        cache: Path | None,
        log: Log,
        threads: int = 2,
        progress: Callable[[int, int], None] | None = None,
        kept: Splits | None = None,
    ) -> ClipData:
        from ecotf.tasks.clips.data import prepare_clip_data

        return prepare_clip_data(manifest, recipe, cache, log, threads, progress, kept)

    def train(
        self,
        recipe: ClipPlan,
        data: ClipData,
        run: RunStore,
        log: Log,
        threads: int = 2,
        watch: ScoreWatch | None = None,
    ) -> TrainedClips:
        from ecotf.tasks.clips.train import train_clips

        return train_clips(recipe, data, run, log, threads, watch)

    def evaluate(self, recipe: ClipPlan, data: ClipData, trained: TrainedClips, run: RunStore, log: Log) -> Evaluation:
        from ecotf.tasks.clips.evaluate import evaluate_clips

        return evaluate_clips(recipe, data, trained, run, log)

    def searchable(self, recipe: Any) -> Searchable:
        from ecotf.tasks.clips.objective import ClipsSearch

        return ClipsSearch(recipe)

    def load(self, folder: Path) -> ClipsRun:
        from ecotf.tasks.clips.run import load_clip_run

        return load_clip_run(folder)

    def join(self, runs: Sequence[ClipsRun], weights: Sequence[float] | Literal["fit"] | None = None) -> Run:
        from ecotf.tasks.clips.ensemble import join_runs

        return join_runs(runs, weights)

    def report_material(self, folder: Path, clips: int) -> Material:
        from ecotf.tasks.clips.reported import report_clips

        return report_clips(folder, clips)

    def exportable(self, run: ClipsRun) -> Any:
        return run.recipe.exportable(run)


TASK = _Clips()
