"""What a search does differently for calls and for clips: what it reads, what trials report, and what a trial is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecotf.commands.console import log, progress_bar
from ecotf.commands.tuning_folder import SearchFolder
from ecotf.datasets.labels import CALL_LABEL
from ecotf.datasets.manifest import Manifest
from ecotf.errors import ConfigError
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.runs import RunFolder
from ecotf.tasks.calls.data import TrainingData, prepare_data
from ecotf.tasks.calls.objective import TrainingObjective
from ecotf.tasks.calls.train import judge
from ecotf.tasks.calls.trees_objective import TreesObjective, trees_alone
from ecotf.tasks.clips.data import ClipData, prepare_clip_data
from ecotf.tasks.clips.objective import ClipsObjective, reported_figures
from ecotf.tasks.recipes import ClipRecipe, EnsembleRecipe, Recipe, load_any_recipe
from ecotf.tuning.figures import figures_of
from ecotf.tuning.trial import Objective

_COLUMNS = ("recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score")


def load_searchable(name: str | Path, overrides: list[str]) -> Recipe | ClipRecipe:
    """Read a recipe that can be trained, and so searched; raises `ConfigError`."""
    recipe = load_any_recipe(name, overrides)
    if isinstance(recipe, EnsembleRecipe):
        raise ConfigError(
            f"{name} is an ensemble: search its members one by one "
            f"({', '.join(member.recipe for member in recipe.members)})"
        )
    return recipe


def cache_name(recipe: Recipe | ClipRecipe) -> str:
    """The folder, in that of the search, of what all trials read."""
    return "sounds" if isinstance(recipe, ClipRecipe) else "spectrograms"


def read_recordings(
    recipe: Recipe | ClipRecipe, manifest: Manifest, cache: Path, threads: int
) -> TrainingData | ClipData:
    """Find out now what is wrong with the data; of calls, compute the spectrograms that trials share."""
    if isinstance(recipe, ClipRecipe):
        return prepare_clip_data(manifest, recipe, cache, log)
    store = SpectrogramStore(cache, recipe.front_end, recipe.data.channel)  # type: ignore[arg-type]
    with progress_bar() as bar:
        task = bar.add_task("reading recordings", total=len(manifest.recordings))
        return prepare_data(
            manifest, recipe.data, store, recipe.seed, log, threads, lambda done, of: bar.update(task, completed=done)
        )


def known_figures(recipe: Recipe | ClipRecipe, data: TrainingData | ClipData) -> list[str]:
    """The figures that a trial on these recordings reports, found out by judging a model that finds nothing."""
    if isinstance(recipe, ClipRecipe):
        assert isinstance(data, ClipData)
        return reported_figures(recipe, data)
    assert isinstance(data, TrainingData) and recipe.tuning is not None
    nothing = pd.DataFrame({column: pd.Series(dtype=object if column in ("recording", "label") else float)
                            for column in _COLUMNS})  # fmt: skip
    plan = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"bootstrap": 1})})
    thresholds = dict.fromkeys([CALL_LABEL, *data.species], 0.5)
    metrics = judge(plan, data, nothing, data.recordings_of("valid"), thresholds)
    # Trees alone have no loss that is comparable.
    losses = [] if trees_alone(tuple(recipe.tuning.space)) else ["valid_loss"]
    return [*figures_of({"quality": 0.0, "metrics": metrics}), *losses]


def objective_of(recipe: Recipe | ClipRecipe, place: SearchFolder, threads: int, cache: Path) -> Objective:
    """What a trial of the recipe is."""
    config = recipe.tuning
    assert config is not None
    folder, searched = place.path.resolve(), tuple(config.space)
    manifest, cache = folder / "manifest.csv", cache.resolve()
    if isinstance(recipe, ClipRecipe):
        return ClipsObjective(recipe, manifest, folder, cache, threads, config.stopping, trial_store)
    if not trees_alone(searched):
        return TrainingObjective(recipe, manifest, folder, cache, threads, config.stopping, searched, trial_store)
    if recipe.mining.rounds:
        log("mining rounds are left out of the trials: what they mine depends on the trees that are searched")
    return TreesObjective(recipe, manifest, folder, cache, threads, None, searched, trial_store)


def trial_store(place: Path) -> RunFolder:
    """The run folder of a trial: the one that was interrupted, or a new one."""
    try:
        return RunFolder.latest(place, "training", unfinished=True)
    except ConfigError:
        return RunFolder.create(place, "training")
