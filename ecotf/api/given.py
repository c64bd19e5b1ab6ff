"""What the functions of the API are given: paths and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ecotf.errors import ConfigError

PathLike = str | Path

_Options = TypeVar("_Options")


def one_or_many(given: PathLike | Sequence[PathLike]) -> list[PathLike]:
    """Return a list of what may be one path."""
    return [given] if isinstance(given, str | Path) else list(given)


def names_of(given: str | Sequence[str]) -> list[str]:
    """Return a list of what may be one name."""
    return [given] if isinstance(given, str) else list(given)


def options_of(kind: type[_Options], function: str, options: Mapping[str, Any]) -> _Options:
    """Make the options of a function; raises `ConfigError` that names those that it does not have."""
    known = list(getattr(kind, "__dataclass_fields__", {}))
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ConfigError(f"{function}: unknown option {', '.join(unknown)}; known: {', '.join(known)}")
    return kind(**options)
