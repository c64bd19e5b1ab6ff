"""The options of the importers as ``key=value`` on a command line, typed and checked by the importers' signatures."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import create_model

from ecotf.config import Config, validate
from ecotf.datasets.importers import IMPORTERS
from ecotf.errors import ConfigError


def read_options(format: str, settings: Sequence[str]) -> dict[str, Any]:
    """Turn ``key=value`` (a list: ``a,b``; a mapping: ``columns.label=species``) into an importer's options.

    Raises
    ------
    ConfigError
        An unknown format or option, or a value that is not what the option takes.
    """
    if format not in IMPORTERS:
        raise ConfigError(f"--format {format!r} is unknown; allowed: {', '.join(IMPORTERS)}")
    hints = _options_of(format)
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"option {setting!r}: expected key=value, for example time_expansion=10")
        name, dot, entry = key.partition(".")
        if dot:
            inner = values.setdefault(name, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"option {setting!r}: {name} has a value already, {inner!r}")
            inner[entry] = text
        elif name in hints and typing.get_origin(hints[name][0]) is Sequence:
            values[name] = [part.strip() for part in text.split(",")]
        else:
            values[name] = text
    fields: dict[str, Any] = hints
    options = validate(create_model("Options", __base__=Config, **fields), values, f"import --format {format}")
    return {name: getattr(options, name) for name in options.model_fields_set}


def describe_options() -> str:
    """Describe each format in one line."""
    lines = []
    for format in IMPORTERS:
        described = (
            f"{name}{_hint(kind)}{' (needed)' * (default is ...)}"
            for name, (kind, default) in _options_of(format).items()
        )
        lines.append(f"  {format + ':':<16}{'; '.join(described)}")
    return "\n".join(lines)


def _options_of(format: str) -> dict[str, tuple[Any, Any]]:
    """Name to type and default of an importer's options; the default is ``...`` where there is none."""
    importer = IMPORTERS[format]
    hints = typing.get_type_hints(importer)
    return {
        parameter.name: (hints[parameter.name], ... if parameter.default is parameter.empty else parameter.default)
        for parameter in inspect.signature(importer).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def _hint(kind: Any) -> str:
    """Return how a value is written, where its name does not say so."""
    kinds = [kind, *typing.get_args(kind)]
    for one in kinds:
        if typing.get_origin(one) is typing.Literal:
            return f"={' or '.join(typing.get_args(one))}"
        if typing.get_origin(one) is Mapping:
            return ".NAME="
        if typing.get_origin(one) is Sequence:
            return "=A,B"
        if one is bool:
            return "=true|false"
    return "="
