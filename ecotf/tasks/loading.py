"""Read runs of any task, one or several that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ecotf.config import read_yaml
from ecotf.errors import ConfigError
from ecotf.runs import RunFolder
from ecotf.tasks.base import Run, get_task
from ecotf.tasks.recipes import EnsembleRecipe, load_any_recipe, task_of


def load_runs(paths: Sequence[str | Path], ensemble: str | None = None, fitted: bool = False) -> Run:
    """Read one run of any task, or several that answer together.

    Parameters
    ----------
    ensemble
        A recipe of task ensemble: the weights of the runs, by the recipes that they were made with.
    fitted
        Fit the weights on the validation segments that the runs share.

    Raises
    ------
    ConfigError
        A run cannot be read, or the runs do not go together.
    """
    if ensemble is not None and fitted:
        raise ConfigError("--ensemble gives weights and --fit-weights fits them: choose one")
    first = RunFolder.open(paths[0])
    task = task_of(read_yaml(first.file("recipe.yaml")), str(first.file("recipe.yaml")))
    listening = get_task(task)
    runs = [listening.load(Path(path)) for path in paths]
    weights: Sequence[float] | Literal["fit"] | None = "fit" if fitted else None
    if ensemble is not None:
        weights = _weights_of(ensemble, runs)
    return listening.join(runs, weights)


def _weights_of(ensemble: str, runs: Sequence[Any]) -> list[float]:
    """Return the weight of each run by its recipe's name; every run must have its member and every member its run."""
    recipe = load_any_recipe(ensemble)
    if not isinstance(recipe, EnsembleRecipe):
        raise ConfigError(f"--ensemble {ensemble}: a recipe of another task; one of task ensemble is needed")
    made_with = [run.recipe.name for run in runs]
    weights = {member.recipe: member.weight for member in recipe.members}
    for name in made_with:
        if name not in weights:
            raise ConfigError(f"--ensemble {ensemble}: a run was made with {name}; members: {', '.join(weights)}")
    absent = [name for name in weights if name not in made_with]
    if absent or len(set(made_with)) < len(made_with):
        raise ConfigError(
            f"--ensemble {ensemble} needs one --model for each of {', '.join(weights)}"
            + (f"; missing: {', '.join(absent)}" if absent else "; one is given twice")
        )
    return [weights[name] for name in made_with]
