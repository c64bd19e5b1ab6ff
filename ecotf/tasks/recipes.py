"""Recipes: one YAML file holds everything that makes a model, so that a run can be repeated from it alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import yaml
from pydantic import Field

from ecotf.config import Config, apply_overrides, read_yaml, validate
from ecotf.errors import ConfigError
from ecotf.runs.names import RecipeName
from ecotf.tasks.base import get_task
from ecotf.tasks.recipe_files import CLUSTERING, ENSEMBLE, find_recipe, read_recipe, recipe_names, task_of

if TYPE_CHECKING:
    from ecotf.tasks.calls.recipe import CallRecipe
    from ecotf.tasks.clips.recipe import ClipRecipe
    from ecotf.tasks.clips.transfer_recipe import TransferRecipe
    from ecotf.tasks.cluster_recipe import ClusterRecipe

    AnyRecipe: TypeAlias = CallRecipe | ClipRecipe | TransferRecipe


class Member(Config):
    """One of an ensemble.

    Attributes
    ----------
    recipe
        What its run was made with.
    weight
        Of its logits.
    """

    recipe: str
    weight: float = Field(gt=0)


class EnsembleRecipe(Config):
    """The runs that answer together, and the weight of each: for ``ecotf classify --ensemble``."""

    task: Literal["ensemble"]
    name: RecipeName
    description: str
    members: tuple[Member, ...] = Field(min_length=1)


def parse_recipe(values: Any, source: str) -> AnyRecipe | EnsembleRecipe | ClusterRecipe:
    """Check plain values and make them a recipe; raises `ConfigError`."""
    task = task_of(values, source)
    if task == CLUSTERING:
        from ecotf.tasks.cluster_recipe import ClusterRecipe

        return validate(ClusterRecipe, values, source)
    recipe_class = EnsembleRecipe if task == ENSEMBLE else get_task(task).recipe_class(values)
    return validate(recipe_class, values, source)


def parse_trainable(values: Any, source: str) -> AnyRecipe:
    """Make a recipe from plain values; raises `ConfigError` for an ensemble or a clustering: those are not trained."""
    if task_of(values, source) == CLUSTERING:
        raise ConfigError(f"{source} is a recipe of clustering; it goes with ecotf cluster --recipe")
    recipe: Any = parse_recipe(values, source)
    if isinstance(recipe, EnsembleRecipe):
        raise ConfigError(
            f"{source} is an ensemble: train its members one by one "
            f"({', '.join(member.recipe for member in recipe.members)}), then classify with --model RUN --model RUN "
            f"... --ensemble {recipe.name}"
        )
    trainable: AnyRecipe = recipe
    return trainable


def load_trainable(name: str | Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe that can be trained; as `load_any_recipe`, and raises `ConfigError` for others."""
    recipe: Any = load_any_recipe(name, overrides)
    if recipe.task in (ENSEMBLE, CLUSTERING):
        return parse_trainable(recipe.model_dump(mode="json"), str(name))
    trainable: AnyRecipe = recipe
    return trainable


def load_cluster_recipe(name: str | Path, overrides: Sequence[str] = ()) -> ClusterRecipe:
    """Read a recipe of clustering; as `load_any_recipe`, and raises `ConfigError` for others."""
    from ecotf.tasks.cluster_recipe import ClusterRecipe

    recipe = load_any_recipe(name, overrides)
    if not isinstance(recipe, ClusterRecipe):
        raise ConfigError(
            f"{name}: a recipe of task {recipe.task}; here one of clustering is needed: "
            f"{', '.join(recipe_names(CLUSTERING))}, or the path of a .yaml file"
        )
    return recipe


def read_run_recipe(folder: Path) -> AnyRecipe:
    """Read ``recipe.yaml`` of a run folder; raises `ConfigError`."""
    path = folder / "recipe.yaml"
    return parse_trainable(read_yaml(path), str(path))


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> CallRecipe:
    """Read a recipe for calls; as `load_any_recipe`, which is for all tasks."""
    from ecotf.tasks.calls.recipe import CallRecipe

    recipe = load_any_recipe(name, overrides)
    if not isinstance(recipe, CallRecipe):
        raise ConfigError(f"{name}: a recipe of task {recipe.task}; here one of task calls is needed")
    return recipe


def load_any_recipe(name: str | Path, overrides: Sequence[str] = ()) -> AnyRecipe | EnsembleRecipe | ClusterRecipe:
    """Read a recipe.

    Parameters
    ----------
    name
        The name of a recipe that comes with ecotf (``bats/field``), or the path of a YAML file.
    overrides
        ``key=value`` with dotted keys, applied before the whole is checked.

    Raises
    ------
    ConfigError
        Unknown recipe, or one line saying which key, which value, and what is allowed.
    """
    path, usual_name = find_recipe(name)
    values = read_recipe(path)
    task_of(values, str(path))
    values.setdefault("name", usual_name)
    return parse_recipe(apply_overrides(values, overrides), str(name))


def recipe_text(recipe: AnyRecipe | EnsembleRecipe | ClusterRecipe) -> str:
    """Write the recipe as YAML, with every default."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
