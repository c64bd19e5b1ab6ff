"""Recipes: one YAML file holds everything that makes a model, so that a run can be repeated from it alone."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import yaml

from ecotf.config import apply_overrides, read_yaml, validate
from ecotf.errors import ConfigError
from ecotf.training.plan import TrainingPlan
from ecotf.tuning.config import TuningConfig


class Recipe(TrainingPlan):
    """A training plan with a name.

    Attributes
    ----------
    name
        ``family/model``; the runs are kept under it.
    description
        One or two sentences: what it is, where it was published.
    tuning
        What a search over its settings may change; training does not look at it.
    """

    name: str
    description: str
    tuning: TuningConfig | None = None


def recipe_names() -> list[str]:
    """Names of the recipes that come with ecotf."""
    folder = Path(str(resources.files("ecotf"))) / "recipes"
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.glob("*/*.yaml"))


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
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
    text = str(name)
    known = recipe_names()
    if text in known:
        path = Path(str(resources.files("ecotf"))) / "recipes" / f"{text}.yaml"
    elif text.endswith((".yaml", ".yml")):
        path = Path(text)
    else:
        near = difflib.get_close_matches(text, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"unknown recipe {text!r}; known: {', '.join(known)}, or the path of a .yaml file{hint}")
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of keys to values, this is not")
    values.setdefault("name", text if text in known else f"own/{path.stem}")
    return validate(Recipe, apply_overrides(values, overrides), text)


def recipe_text(recipe: Recipe) -> str:
    """The resolved recipe as YAML, every default written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
