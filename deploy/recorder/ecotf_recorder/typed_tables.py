"""Settings as typed dataclasses: read from nested tables, with every mistake said in one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, TypeVar

_T = TypeVar("_T")
_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: 'text in "quotes"',
    tuple: "a list of texts",
}


def number(default: float, least: float, most: float) -> Any:
    """A number from ``least`` to ``most``."""
    return field(default=default, metadata={"least": least, "most": most})


def text(default: str) -> Any:
    """Any text."""
    return field(default=default)


def texts() -> Any:
    """A list of texts, empty if nothing is said."""
    return field(default=())


def one_of(default: str, *allowed: str) -> Any:
    """One of some words."""
    return field(default=default, metadata={"allowed": allowed})


def read_table(kind: type[_T], values: Mapping[str, Any], place: str, mistakes: list[str]) -> _T:
    """Make settings of a table; what is wrong is added to ``mistakes`` and left as it is by default."""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    taken: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{place}{key}"
        if key not in known:
            mistakes.append(f"{name} is unknown{_nearest(key, known, place)}")
            continue
        meta, inner = known[key].metadata, known[key].default_factory
        if isinstance(inner, type):
            if isinstance(value, Mapping):
                taken[key] = read_table(inner, value, f"{name}.", mistakes)
            else:
                mistakes.append(f"{name} = {value!r}: must be a section, [{name}]")
            continue
        mistake = _mistake(value, known[key].default, meta)
        if mistake:
            mistakes.append(f"{name} = {value!r}: {mistake}")
        else:
            taken[key] = _as(value, known[key].default)
    return kind(**taken)


def _nearest(key: str, known: Mapping[str, Any], place: str) -> str:
    near = difflib.get_close_matches(key, known, 1, 0.5)
    return f"; did you mean {place}{near[0]}?" if near else f"; known: {', '.join(known)}"


def _mistake(value: Any, default: Any, meta: Mapping[str, Any]) -> str:
    """Return the mistake in a value, or nothing."""
    kind = type(default)
    fits = isinstance(value, (int, float) if kind is float else list if kind is tuple else kind)
    if kind is not bool and isinstance(value, bool):
        fits = False
    if kind is tuple and fits:
        fits = all(isinstance(one, str) for one in value)
    if not fits:
        return f"must be {_NAMES[kind]}"
    if "allowed" in meta and value not in meta["allowed"]:
        return f"must be one of {', '.join(meta['allowed'])}"
    if "least" in meta and not meta["least"] <= value <= meta["most"]:
        return f"must be from {meta['least']:g} to {meta['most']:g}"
    return ""


def _as(value: Any, default: Any) -> Any:
    return tuple(value) if isinstance(default, tuple) else float(value) if isinstance(default, float) else value
