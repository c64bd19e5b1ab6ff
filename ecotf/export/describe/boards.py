"""The budget of a model on a board: memory and instructions, before anything is flashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ecotf.config import Config, read_yaml, validate
from ecotf.errors import ConfigError


class Board(Config):
    """One kind of board; see ``boards.yaml`` for where the figures are from."""

    title: str
    cpu: str
    memory_mb: float
    system_mb: float
    instructions_per_s: float

    @property
    def free_mb(self) -> float:
        """Memory that is left for a model."""
        return self.memory_mb - self.system_mb


@dataclass(frozen=True)
class Budget:
    """The share of a board's memory and time that a model takes.

    Attributes
    ----------
    memory
        The share of the free memory.
    instructions
        The share of one core's instructions; None where the model does not say what a second of sound costs.
    """

    board: Board
    memory: float
    instructions: float | None

    @property
    def fits(self) -> bool:
        """Whether it runs there, sound coming in all the time."""
        return self.memory <= 1 and (self.instructions is None or self.instructions <= 1)


@cache
def boards() -> dict[str, Board]:
    """Read the known boards, by the name that ``--board`` takes."""
    path = Path(str(resources.files("ecotf"))) / "export" / "describe" / "boards.yaml"
    return {name: validate(Board, values, f"{path}: {name}") for name, values in read_yaml(path).items()}


def board_named(name: str) -> Board:
    """Return a board by its name; ConfigError where no board has this name."""
    if name not in boards():
        raise ConfigError(f"--board {name!r}: known boards are {', '.join(boards())}")
    return boards()[name]


def budget(values: Mapping[str, Any], board: Board) -> Budget:
    """Compute the share of ``board`` that a model takes; ``values`` are its ``model.json``."""
    each_second = values["cost"]["million_instructions_per_s"]
    memory = values["cost"]["memory_mb"] / board.free_mb
    return Budget(board, memory, None if each_second is None else each_second / board.instructions_per_s)


def misfit(values: Mapping[str, Any], board: Board) -> str:
    """Say in one line what of a model is too much for a board; empty where it fits."""
    found, cost = budget(values, board), values["cost"]
    if found.memory > 1:
        return (
            f"the model is too large for a {board.title}: it needs {cost['memory_mb']:.0f} MB (its file has "
            f"{values['size_bytes'] / 1e6:.1f} MB), {board.free_mb:.0f} MB are free there"
        )
    if found.instructions is not None and found.instructions > 1:
        return (
            f"the model is too slow for a {board.title}: a second of sound takes about "
            f"{cost['million_instructions_per_s']:.0f} million instructions, one core does "
            f"{board.instructions_per_s:.0f} million"
        )
    return ""


def require_fit(values: Mapping[str, Any], board: Board) -> None:
    """Refuse a model that is too much for a board; raises `ConfigError`, as `misfit` says it."""
    reason = misfit(values, board)
    if reason:
        raise ConfigError(reason)


def misfits(values: Mapping[str, Any]) -> list[str]:
    """Say of each known board that a model is too much for what it is short of."""
    return [reason for board in boards().values() if (reason := misfit(values, board))]
