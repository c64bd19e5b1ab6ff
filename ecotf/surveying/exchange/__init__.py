"""A survey in the formats that others read: Camtrap DP, pamDP and AOEF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.surveying.exchange.aoef import write_aoef
from ecotf.surveying.exchange.camtrap import write_camtrap
from ecotf.surveying.exchange.pamdp import write_pamdp
from ecotf.surveying.survey import Survey

EXCHANGES: dict[str, Callable[[Survey, Path], list[str]]] = {
    "camtrap-dp": write_camtrap,
    "pamdp": write_pamdp,
    "aoef": write_aoef,
}
"""What writes each format into a folder; it returns what must be said, a line each."""


def check_exchange(names: Sequence[str]) -> None:
    """Raise `ConfigError` for a format that is not known."""
    for name in names:
        if name not in EXCHANGES:
            raise ConfigError(f"exchange format {name!r} is unknown; known formats: {', '.join(EXCHANGES)}")
