"""The base of all configs: strict pydantic models, YAML files, dotted overrides, and messages written for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ecotf.errors import ConfigError

C = TypeVar("C", bound="Config")
# Safe: it makes plain values only. In C it is ten times as fast, where PyYAML has that.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Config(BaseModel):
    """A frozen set of named settings. A key that it does not have is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, defer_build=True)


def validate(config_class: type[C], values: Any, source: str) -> C:
    """Build ``config_class`` from plain values.

    Parameters
    ----------
    values
        A mapping, as read from YAML.
    source
        Where the values come from; named in the message.

    Raises
    ------
    ConfigError
        One line: which key, which value, what is allowed.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: expected a mapping of keys to values, found {type(values).__name__}")
    try:
        return config_class.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: {_explain(error, config_class)}") from None


def read_yaml(path: str | Path) -> Any:
    """Read one YAML file; a syntax error names the file and the line."""
    path = Path(path)
    try:
        # Nothing in the file is run: this loader makes plain values only.
        return yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8 (byte {error.start + 1} is none)") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        problem = str(getattr(error, "problem", error)).splitlines()[0]
        raise ConfigError(f"{path}: not valid YAML{where}: {problem}") from None


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return ``values`` with ``a.b=c`` overrides applied; ``c`` is YAML, lists are indexed (``stages.0.epochs``).

    The keys themselves are checked when the result is validated, so an unknown key is reported in one place.
    """
    changes = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"override {override!r}: expected key=value, for example mining.rounds=1")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"override {override!r}: {text!r} is not a YAML value") from None
        changes.append((key, value))
    return apply_changes(values, changes)


def apply_changes(values: dict[str, Any], changes: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return ``values`` with other values at dotted keys; as `apply_overrides`, whose values are text."""
    result: dict[str, Any] = _copy(values)
    for key, value in changes:
        _set(result, key, value)
    return result


def _set(values: Any, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    node = values
    for depth, part in enumerate(parents):
        place: Any = _index(node, part, key) if isinstance(node, list) else part
        below = node[place] if isinstance(node, list) else node.get(place)
        if below is None:
            below = node[place] = {}
        if not isinstance(below, dict | list):
            raise ConfigError(f"override {key}: {'.'.join(parents[: depth + 1])} is a single value, it has no keys")
        node = below
    if isinstance(node, list):
        node[_index(node, last, key)] = value
    else:
        node[last] = value


def _index(items: list[Any], part: str, key: str) -> int:
    if not part.isdecimal() or int(part) >= len(items):
        allowed = f"an index from 0 to {len(items) - 1}" if items else "an index, the list is empty"
        raise ConfigError(f"override {key}: {part!r} is not {allowed}")
    return int(part)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _explain(error: ValidationError, config_class: type[BaseModel]) -> str:
    """Turn the first pydantic error into one sentence, with the nearest known key for a typing mistake."""
    problems = error.errors(include_url=False)
    first = problems[0]
    known, parts, below = _walk(config_class, first["loc"])
    key = ".".join(parts)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown key {key!r}; known keys here: {', '.join(known) or 'none'}{hint}{more}"
    if first["type"] == "missing":
        return f"key {key!r} is missing{more}"
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        allowed = ", ".join(repr(name) for config in below for name in _names_of(config))
        problem = f"name {first['ctx']['tag']!r} is unknown" if "tag" in first["ctx"] else "key 'name' is missing"
        return f"{key}: {problem}; allowed: {allowed}{more}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if first["type"] == "value_error":
        return f"{key}: {message}{more}" if key else f"{message}{more}"
    return f"{key} = {first['input']!r}: {message}{more}"


def _walk(
    config_class: type[BaseModel], location: Sequence[int | str]
) -> tuple[list[str], list[str], list[type[BaseModel]]]:
    """The keys known where ``location`` ends, the location in the user's terms, and the configs that may lie there.

    Pydantic's location also names the member of a union that it tried (``networks.0.backbone.cnn.filters``); that
    member is followed, but it is no key of the file.
    """
    candidates: list[type[BaseModel]] = [config_class]
    known: set[str] = set()
    parts: list[str] = []
    for part in location:
        if isinstance(part, int):
            parts.append(str(part))
            continue
        known = {name for config in candidates for name in config.model_fields}
        tagged = [config for config in candidates if part in _names_of(config)]
        if part in known or (candidates and not tagged):
            parts.append(part)
            fields = [config.model_fields[part] for config in candidates if part in config.model_fields]
            candidates = [found for field in fields for found in _configs_in(field.annotation)]
        else:
            candidates = tagged
    return sorted(known), parts, candidates


def _names_of(config: type[BaseModel]) -> tuple[Any, ...]:
    """List the values that the key ``name`` of ``config`` may have, where it selects a member of a union."""
    name = config.model_fields.get("name")
    return () if name is None else getattr(name.annotation, "__args__", ())


def _configs_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [config for argument in getattr(annotation, "__args__", ()) for config in _configs_in(argument)]
