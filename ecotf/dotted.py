"""Dotted keys: ``stages.0.epochs`` names one value inside mappings and lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def walk(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over every key with its value, outer ones before inner ones.

    Examples
    --------
    >>> dict(walk({"seed": 7, "stages": [{"epochs": 5}]}))
    {'seed': 7, 'stages': [{'epochs': 5}], 'stages.0': {'epochs': 5}, 'stages.0.epochs': 5}
    """
    if key:
        yield key, values
    inner = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for part, below in inner:
        yield from walk(below, f"{key}.{part}" if key else str(part))


def value_at(values: Any, key: str) -> Any:
    """Get the value at a dotted key; raises KeyError or IndexError where there is none.

    Examples
    --------
    >>> value_at({"stages": [{"epochs": 5}]}, "stages.0.epochs")
    5
    """
    for part in key.split("."):
        values = values[int(part)] if isinstance(values, list) else values[part]
    return values


def put_at(values: Any, key: str, value: Any) -> None:
    """Put a value at a dotted key that is there already, in place."""
    outer, _, last = key.rpartition(".")
    node = value_at(values, outer) if outer else values
    node[int(last) if isinstance(node, list) else last] = value
