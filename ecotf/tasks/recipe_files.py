"""The recipes that come with ecotf, as files: names and descriptions, without what a recipe is made of.

Help and messages need no more, and answer at once.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ecotf.config import read_yaml
from ecotf.errors import ConfigError
from ecotf.tasks.base import TASKS

FOLDER = Path(__file__).parents[1] / "recipes"
ENSEMBLE = "ensemble"
"""The value of ``task`` in an ensemble's recipe. Its runs are trained one by one, each with its own recipe."""


def recipe_names(task: str = "") -> list[str]:
    """List the recipes that come with ecotf; of one task, if it is given."""
    names = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.yaml"))
    return [name for name in names if not task or task_of(read_yaml(_path_of(name)), name) == task]


def recipe_descriptions() -> dict[str, str]:
    """Return the first sentence of the description of each recipe that comes with ecotf, by name.

    Examples
    --------
    >>> "bats/field" in recipe_descriptions()
    True
    """
    texts = {name: " ".join(str(read_yaml(_path_of(name))["description"]).split()) for name in recipe_names()}
    return {name: text.split(". ")[0].rstrip(".") for name, text in texts.items()}


def find_recipe(name: str | Path) -> tuple[Path, str]:
    """Find the file of a recipe that comes with ecotf, or of a YAML file; return it and the recipe's usual name.

    Raises
    ------
    ConfigError
        There is no such recipe; it lists the known ones, and the nearest.
    """
    text = str(name)
    known = recipe_names()
    if text in known:
        return _path_of(text), text
    if text.endswith((".yaml", ".yml")):
        return Path(text), f"own/{Path(text).stem}"
    near = difflib.get_close_matches(text, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"unknown recipe {text!r}; known: {', '.join(known)}, or the path of a .yaml file{hint}")


def task_of(values: Any, source: str) -> str:
    """Return the task of a recipe; ``calls`` where it names none. Raises `ConfigError`."""
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: a recipe is a mapping of keys to values, this is not")
    task = values.get("task", "calls")
    allowed = (*TASKS, ENSEMBLE)
    if task not in allowed:
        raise ConfigError(f"{source}: task = {task!r}; allowed: {', '.join(allowed)}")
    return str(task)


def _path_of(name: str) -> Path:
    return FOLDER / f"{name}.yaml"
