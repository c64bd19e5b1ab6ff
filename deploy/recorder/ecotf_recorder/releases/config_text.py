"""Changes of ``config.toml`` that leave its remarks, its order and all other settings as they are."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ecotf_recorder.releases.bundle import ReleaseError

_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
_SECTION = re.compile(r"\s*\[")


def change_text(text: str, changes: Mapping[str, str | None]) -> str:
    """Return the text of a config with other values.

    Parameters
    ----------
    changes
        Key (``rules.hits``) to value: a number, ``true``, a list, or a text with or without quotes; None takes the key
        away, so that its default holds.

    Raises
    ------
    ReleaseError
        A key or a value that cannot be, or a file that is written in a way that this cannot change.

    Examples
    --------
    >>> change_text("[rules]\\n# hits = 1\\n", {"rules.hits": "3"})
    '[rules]\\n# hits = 1\\nhits = 3\\n'
    """
    wanted = _parsed(text)
    for key, value in changes.items():
        if not _KEY.fullmatch(key):
            raise ReleaseError(f"{key!r} is no setting; write section.key, such as rules.hits")
        section, _, name = key.rpartition(".")
        place = wanted.setdefault(section, {}) if section else wanted
        if not isinstance(place, dict):
            raise ReleaseError(f"{section} is no section of the config")
        if value is None:
            place.pop(name, None)
            text = _changed(text, section, name, None)
        else:
            place[name] = _value(key, value)
            text = _changed(text, section, name, f"{name} = {_written(place[name])}")
    try:
        is_so = _stated(tomllib.loads(text)) == _stated(wanted)
    except tomllib.TOMLDecodeError:
        is_so = False
    if not is_so:
        raise ReleaseError("the config is written in a way that cannot be changed in part; send one with init --config")
    return text


def settings_in(text: str) -> Iterator[tuple[str, str]]:
    """Every setting that a config states, with its value as it is written there."""
    for key, value in _parsed(text).items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", _written(inner)) for name, inner in value.items())
        else:
            yield key, _written(value)


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ReleaseError(f"config.toml is not TOML ({error})") from None


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out sections in which nothing is stated."""
    return {key: value for key, value in values.items() if value != {}}


def _value(key: str, said: str) -> Any:
    """What a person typed: a text needs no quotes, because a shell takes them away."""
    if not said.isprintable():
        raise ReleaseError(f"{key}: its value must be one line")
    try:
        parsed = tomllib.loads(f"value = {said}")
    except tomllib.TOMLDecodeError:
        return said
    value = parsed["value"] if len(parsed) == 1 else said
    return said if _is_text(key) and not isinstance(value, str) else value


def _is_text(key: str) -> bool:
    """Whether the recorder wants a text there, so that a site may be called 14."""
    from ecotf_recorder.config import Config  # other commands need nothing of it

    kind: Any = Config
    *way, name = key.split(".")
    for part in way:
        inner = {one.name: one.default_factory for one in fields(kind)}.get(part)
        if not isinstance(inner, type) or not is_dataclass(inner):
            return False
        kind = inner
    return any(one.name == name and isinstance(one.default, str) for one in fields(kind))


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _changed(text: str, section: str, name: str, line: str | None) -> str:
    """Put ``line`` where the setting stands, behind the remark that shows its default, or at the section's end."""
    lines = text.splitlines()
    headers = [at for at, one in enumerate(lines) if _SECTION.match(one)] + [len(lines)]
    first, last = 0, headers[0]
    if section:
        named = re.compile(rf"\s*\[\s*{section}\s*\]\s*(#.*)?$")
        begin = next((at for at in headers[:-1] if named.match(lines[at])), None)
        if begin is None:
            return text if line is None else "\n".join([*lines, "", f"[{section}]", line]) + "\n"
        first, last = begin + 1, headers[headers.index(begin) + 1]
    new = [] if line is None else [line]
    stated = [at for at in range(first, last) if re.match(rf"\s*{name}\s*=", lines[at])]
    remarks = [at for at in range(first, last) if re.match(rf"\s*#\s*{name}\s*=", lines[at])]
    if stated:
        lines[stated[0] : _end(lines, stated[0], last)] = new
    elif remarks:
        lines[remarks[-1] + 1 : remarks[-1] + 1] = new
    else:
        while last > first and not lines[last - 1].strip():
            last -= 1
        lines[last:last] = new
    return "\n".join(lines) + "\n"


def _end(lines: list[str], begin: int, last: int) -> int:
    """Find the line after a value, which may go over several."""
    for end in range(begin + 1, last + 1):
        try:
            tomllib.loads("\n".join(lines[begin:end]))
        except tomllib.TOMLDecodeError:
            continue
        return end
    return begin + 1
