"""Dotted keys: which ones a recipe has, and the recipe with some of them changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ecotf.config import Config, validate
from ecotf.dotted import put_at, walk
from ecotf.errors import ConfigError

P = TypeVar("P", bound=Config)

_NAMES = ("task", "name", "description", "tuning")
# Trials are compared on the same recordings by the same rule.
JUDGES = ("evaluation", "data.ignored_labels", "data.train", "data.valid", "data.test", "data.split_by")


def settings_of(plan: Config) -> dict[str, Any]:
    """List every key of the recipe, the inner ones too, with its value as YAML would hold it."""
    return dict(walk(plan.model_dump(mode="json", exclude=set(_NAMES))))


def check_keys(plan: Config, keys: Iterable[str], judges: Sequence[str], source: str = "tuning.space") -> None:
    """Refuse a key that the recipe does not have, or that would change what trials are compared on.

    Parameters
    ----------
    judges
        Keys that decide what trials are compared on; inner and outer ones of them count too.

    Raises
    ------
    ConfigError
        One line with the nearest key that there is.
    """
    known = settings_of(plan)
    keys = list(keys)
    for key in keys:
        top = key.partition(".")[0]
        if top in _NAMES or any(f"{key}.".startswith(f"{j}.") or j.startswith(f"{key}.") for j in judges):
            raise ConfigError(f"{source}: {key} cannot be searched: it decides what trials are compared on, not how")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise ConfigError(f"{source}: the recipe has no key {key!r}; did you mean {near[0]!r}?")
        outer = next((other for other in keys if key.startswith(f"{other}.")), None)
        if outer is not None:
            raise ConfigError(f"{source}: {key} is inside {outer}, which is searched too; leave one out")


def with_settings(plan: P, values: Mapping[str, Any]) -> P:
    """Return the recipe with ``values`` at their dotted keys, checked as a whole.

    Raises
    ------
    ConfigError
        The values make a recipe that cannot be.
    """
    raw = plan.model_dump(mode="json")
    for key, value in values.items():
        put_at(raw, key, value)
    return validate(type(plan), raw, "with these settings")
