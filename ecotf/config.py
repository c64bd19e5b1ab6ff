"""The base of all configs: strict pydantic models, YAML files, dotted overrides, and messages written for people."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ecotf.errors import ConfigError

C = TypeVar("C", bound="Config")

_NESTED_TAG = re.compile(r"function-.*|tagged-union.*")


class Config(BaseModel):
    """A frozen set of named settings. A key that it does not have is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


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
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}: not valid YAML{where}: {getattr(error, 'problem', error)}") from None


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return ``values`` with ``a.b=c`` overrides applied; ``c`` is read as YAML, lists are indexed (``stages.0.epochs``).

    The keys themselves are checked when the result is validated, so an unknown key is reported in one place.
    """
    result: dict[str, Any] = _copy(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"override {override!r}: expected key=value, for example training.seed=7")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"override {override!r}: {text!r} is not a YAML value") from None
        _set(result, key, value)
    return result


def _set(values: Any, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    node = values
    for depth, part in enumerate(parents):
        if isinstance(node, list):
            node = node[_index(node, part, key)]
            continue
        if not isinstance(node.get(part), dict | list):
            if node.get(part) is not None:
                raise ConfigError(f"override {key}: {'.'.join(parents[: depth + 1])} is a single value, it has no keys")
            node[part] = {}
        node = node[part]
    if isinstance(node, list):
        node[_index(node, last, key)] = value
    else:
        node[last] = value


def _index(items: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        raise ConfigError(f"override {key}: {part!r} is not an index from 0 to {len(items) - 1}")
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
    key = ".".join(str(part) for part in first["loc"] if not _NESTED_TAG.match(str(part)))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(config_class, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown key {key!r}; known keys here: {', '.join(sorted(known)) or 'none'}{hint}{more}"
    if first["type"] == "missing":
        return f"key {key!r} is missing{more}"
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        allowed = first.get("ctx", {}).get("expected_tags", "")
        found = first.get("ctx", {}).get("tag", "nothing")
        return f"{key}: name {found!r} is unknown; allowed: {allowed}{more}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if first["type"] == "value_error":
        return f"{key}: {message}{more}" if key else f"{message}{more}"
    return f"{key} = {first['input']!r}: {message}{more}"


def _known_keys(config_class: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys that the config at ``location`` has; unions are searched through their tags."""
    candidates: list[type[BaseModel]] = [config_class]
    for part in location:
        found: list[type[BaseModel]] = []
        for candidate in candidates:
            field = candidate.model_fields.get(str(part))
            if field is not None:
                found += _configs_in(field.annotation)
            elif isinstance(part, str):
                tag = candidate.model_fields.get("name")
                if tag is not None and part in getattr(tag.annotation, "__args__", ()):
                    found.append(candidate)
        if found:
            candidates = found
    return sorted({name for candidate in candidates for name in candidate.model_fields})


def _configs_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [config for argument in getattr(annotation, "__args__", ()) for config in _configs_in(argument)]
