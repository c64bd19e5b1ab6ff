"""One piece of memory for all that a network computes: what is not needed at the same time shares room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecotf.export.c99.network import Network, Tensor

_ALIGN = 4
# These give their input another shape and move nothing.
ALIASES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


@dataclass(frozen=True)
class Arena:
    """The place of each tensor: bytes from the start, by its index."""

    offsets: Mapping[int, int]
    size: int


@dataclass
class _Life:
    size: int
    first: int
    last: int


def plan_arena(network: Network) -> Arena:
    """Place the int8 tensors of a network, the largest first, each in the lowest gap of its lifetime."""
    same: dict[int, int] = {}
    lives: dict[int, _Life] = {}
    for at, step in enumerate(network.steps):
        for tensor in (*step.inputs, *step.outputs):
            if tensor is None or tensor.kind != "INT8" or tensor.values is not None:
                continue
            if step.operator in ALIASES and tensor in step.outputs:
                source = step.inputs[0]
                assert source is not None
                same[tensor.index] = same.get(source.index, source.index)
            root = same.get(tensor.index, tensor.index)
            life = lives.setdefault(root, _Life(_bytes(tensor), at, at))
            life.last = at
    placed: dict[int, int] = {}
    for root in sorted(lives, key=lambda root: (-lives[root].size, lives[root].first)):
        placed[root] = _lowest(root, lives, placed)
    size = max((offset + lives[root].size for root, offset in placed.items()), default=0)
    return Arena({**placed, **{index: placed[root] for index, root in same.items()}}, size)


def _lowest(root: int, lives: Mapping[int, _Life], placed: Mapping[int, int]) -> int:
    life, offset = lives[root], 0
    for other, start in sorted(placed.items(), key=lambda item: item[1]):
        if lives[other].first <= life.last and lives[other].last >= life.first:
            if start >= offset + life.size:
                break
            offset = max(offset, start + lives[other].size)
    return offset


def _bytes(tensor: Tensor) -> int:
    return -(-tensor.size // _ALIGN) * _ALIGN
