"""Go on training the network of a run on other clips: the recipe that does it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.config import apply_changes, validate
from ecotf.errors import ConfigError
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import stage_name
from ecotf.tasks.recipes import read_run_recipe

if TYPE_CHECKING:
    from ecotf.tasks.cluster_recipe import NetworkTuning

TITLE = "clusters"


def network_recipe(run: Path) -> ClipRecipe | None:
    """Return the recipe of a run whose network hears clips, and can go on learning; None of any other run."""
    recipe = read_run_recipe(run)
    return recipe if isinstance(recipe, ClipRecipe) else None


def fine_tuning_recipe(run: Path, tuning: NetworkTuning, clusters: int, seed: int) -> ClipRecipe:
    """Make the recipe that trains a run's network on clips of clusters, from where the run is.

    Parameters
    ----------
    run
        A run with a network of clips.
    clusters
        How many there are.
    seed
        Of the training.

    Returns
    -------
    The run's recipe with one stage, which learns all labels of its manifest and begins with the run's weights.

    Raises
    ------
    ConfigError
        The stage does not go with the run's network.
    """
    recipe = network_recipe(run)
    if recipe is None:
        raise ConfigError(f"{run}: no run with a network of clips")
    values = recipe.model_dump(mode="json")
    last = values["stages"][-1]
    stage = dict(tuning.stage) if tuning.stage is not None else dict(last)
    stages = recipe.expanded().stages
    source = (run / stage_name(len(stages) - 1, stages[-1])).resolve()
    stage |= {"title": TITLE, "data": {}, "weights_from": str(source), "segments": False, "patience": None}
    if stage.get("keep") == "best":
        stage["keep"] = "last"  # there is no label to choose an epoch by
    stage = apply_changes(stage, list(tuning.changes.items()))
    if tuning.way == "clusters" and isinstance(stage.get("episodes"), dict):
        stage = apply_changes(stage, [("episodes.way", clusters)])
    stage.pop("validation", None)
    stage.pop("batch", None) if "episodes" in stage or "contrast" in stage else None
    evaluation = {"bootstrap": 1, "episodes": []}
    changed = values | {"name": "own/clusters", "seed": seed, "stages": [stage], "tuning": None, "refit": False}
    changed["evaluation"] = values["evaluation"] | evaluation
    changed["data"] = values["data"] | {"split_by": "group", "train": 1.0, "valid": 0.0, "test": 0.0}
    return validate(ClipRecipe, changed, f"fine-tuning {run}")
