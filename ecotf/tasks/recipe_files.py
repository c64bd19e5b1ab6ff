"""The recipes that come with ecotf, as files: names and descriptions, without what a recipe is made of.

Help and messages need no more, and answer at once.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ecotf.config import apply_changes, read_yaml
from ecotf.errors import ConfigError
from ecotf.tasks.base import TASKS

FOLDER = Path(__file__).parents[1] / "recipes"
ENSEMBLE = "ensemble"
"""The value of ``task`` in an ensemble's recipe. Its runs are trained one by one, each with its own recipe."""

CLUSTERING = "clustering"
"""The value of ``task`` in a recipe of ``ecotf cluster``: nothing is trained of it by itself."""

_WITH_BASE = ("base", "name", "description", "changes")


def recipe_names(task: str = "") -> list[str]:
    """List the recipes that come with ecotf; of one task, if it is given."""
    names = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.yaml"))
    return [name for name in names if not task or task_of(read_recipe(_path_of(name)), name) == task]


def recipe_descriptions() -> dict[str, str]:
    """Return the first sentence of the description of each recipe that comes with ecotf, by name.

    Examples
    --------
    >>> "bats/field" in recipe_descriptions()
    True
    """
    texts = {name: " ".join(str(read_yaml(_path_of(name))["description"]).split()) for name in recipe_names()}
    return {name: text.split(". ")[0].rstrip(".") for name, text in texts.items()}


def read_recipe(path: Path, above: tuple[Path, ...] = ()) -> Any:
    """Read the plain values of a recipe's file; one with ``base`` is that recipe with ``changes``.

    Parameters
    ----------
    above
        The files that led to this one.

    Raises
    ------
    ConfigError
        The file, or one that it is based on, cannot be read, is based on itself, or has other keys.
    """
    values = read_yaml(path)
    if not isinstance(values, dict) or "base" not in values:
        return values
    other = sorted(map(str, set(values) - set(_WITH_BASE)))
    if other:
        raise ConfigError(f"{path}: key {other[0]!r} beside base; allowed: {', '.join(_WITH_BASE)}")
    changes = values.get("changes") or {}
    if not isinstance(changes, dict):
        raise ConfigError(f"{path}: changes: a mapping of dotted keys to values, as network.backbone.width: 0.4")
    base, _ = find_recipe(str(values["base"]))
    base = base if base.is_absolute() else path.parent / base
    if base in (path, *above):
        raise ConfigError(f"{path}: base = {values['base']!r} is based on this recipe itself")
    told = {key: values[key] for key in ("name", "description") if key in values}
    below = {**_mapping(read_recipe(base, (path, *above)), base), **told}
    try:
        return apply_changes(below, [(str(key), value) for key, value in changes.items()])
    except ConfigError as error:
        raise ConfigError(f"{path}: changes: {error}") from None


def _mapping(values: Any, path: Path) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of keys to values, this is not")
    return values


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
    allowed = (*TASKS, ENSEMBLE, CLUSTERING)
    if task not in allowed:
        raise ConfigError(f"{source}: task = {task!r}; allowed: {', '.join(allowed)}")
    return str(task)


def _path_of(name: str) -> Path:
    return FOLDER / f"{name}.yaml"
