"""What a recorder lacks of a new model: found by the hashes of the blocks that it has, and written as instructions."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ecotf_recorder.releases.blocks import STRONG_BYTES, Blocks, rolling_hashes, strong_hash
from ecotf_recorder.releases.delta import INSTRUCTION, LITERAL, MOST_INSTRUCTIONS, VERSION
from numpy.typing import NDArray

from deploy.flash.errors import NoDelta

_LEAST_WINDOW, _MOST_WINDOW = 1 << 14, 1 << 19  # places that are looked at together; a place takes some 40 bytes
_MOST_IN_VAIN = 1 << 28  # bytes: hashes that are found again and again without being the block cost no more than this
_TABLE_BITS = 20


@dataclass(frozen=True)
class Copy:
    """``length`` bytes of the recorder's model from ``start`` on."""

    start: int
    length: int


@dataclass(frozen=True)
class Literal:
    """``length`` bytes of the new model from ``start`` on, which the recorder lacks."""

    start: int
    length: int


def write_delta(path: Path, model: Path, blocks: Blocks, base: str) -> int:
    """Write the difference between ``model`` and the recorder's model.

    Parameters
    ----------
    blocks
        The recorder's.
    base
        The release that they are of.

    Returns
    -------
    int
        Bytes of the delta.

    Raises
    ------
    NoDelta
        There is no sensible one.
    """
    size = model.stat().st_size
    content = np.memmap(model, np.uint8, "r") if size else np.zeros(0, np.uint8)
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as written:
        written.write(json.dumps({"format": VERSION, "base": base}).encode() + b"\n")
        for number, step in enumerate(instructions(content, blocks)):
            if number == MOST_INSTRUCTIONS:
                raise NoDelta("the models are too different")
            if isinstance(step, Copy):
                written.write(INSTRUCTION.pack(step.start, step.length))
            else:
                written.write(INSTRUCTION.pack(LITERAL, step.length))
                written.write(content[step.start : step.start + step.length].tobytes())
    return path.stat().st_size


def instructions(content: NDArray[np.uint8], blocks: Blocks) -> Iterator[Copy | Literal]:
    """Say how ``content`` is made of blocks and of bytes that are in none; neighbours are one instruction.

    Raises
    ------
    NoDelta
        The hashes fit so often and the blocks so seldom that looking on is no use.
    """
    at = 0  # up to here all is said
    copied: Copy | None = None
    for place, number in _found(content, blocks):
        start = number * blocks.block
        if copied and (place > at or copied.start + copied.length != start):
            yield copied
            copied = None
        if place > at:
            yield Literal(at, place - at)
        copied = Copy(copied.start, copied.length + blocks.block) if copied else Copy(start, blocks.block)
        at = place + blocks.block
    if copied:
        yield copied
    if at < len(content):
        yield Literal(at, len(content) - at)


def _found(content: NDArray[np.uint8], blocks: Blocks) -> Iterator[tuple[int, int]]:
    """Yield the places of blocks in ``content`` with the blocks' numbers, from the left, none over another."""
    search = _Search(content, blocks)
    at, number = 0, -1
    while at + blocks.block <= len(content):
        number += 1
        if not search.is_block(at, number):
            found = search.next(at)
            if found is None:
                return
            at, number = found
        yield at, number
        at += blocks.block


class _Search:
    """Looks for blocks at every place."""

    def __init__(self, content: NDArray[np.uint8], blocks: Blocks) -> None:
        self.content, self.blocks = content, blocks
        strong = (self._strong_of(number) for number in range(len(blocks.weak)))
        self._numbers = {content: number for number, content in reversed(list(enumerate(strong)))}
        self._weak = np.unique(blocks.weak)
        # Most places are ruled out by the first bits of their hash.
        self._shift = np.uint32(32 - _TABLE_BITS)
        self._table = np.zeros(1 << _TABLE_BITS, bool)
        self._table[self._weak >> self._shift] = True
        self._in_vain = 0

    def is_block(self, at: int, number: int) -> bool:
        """Check that the bytes at ``at`` are those of a block."""
        return number < len(self.blocks.weak) and self._strong(at) == self._strong_of(number)

    def next(self, at: int) -> tuple[int, int] | None:
        """Return the next place from ``at`` on that is a block, and which."""
        window = _LEAST_WINDOW
        last = len(self.content) - self.blocks.block  # the last place where a block may begin
        while at <= last and self._numbers:
            until = min(at + window, last + 1)
            for place in self._candidates(at, until):
                number = self._numbers.get(self._strong(place))
                if number is not None:
                    return place, number
                self._in_vain += self.blocks.block
                if self._in_vain > _MOST_IN_VAIN:
                    raise NoDelta("the hashes of the recorder's blocks fit where the blocks do not")
            at, window = until, min(2 * window, _MOST_WINDOW)
        return None

    def _candidates(self, start: int, end: int) -> Iterator[int]:
        """Yield the places whose weak hash is that of a block."""
        weak = rolling_hashes(self.content[start : end + self.blocks.block - 1], self.blocks.block)
        likely = np.flatnonzero(self._table[weak >> self._shift])
        there = np.minimum(np.searchsorted(self._weak, weak[likely]), len(self._weak) - 1)
        yield from (start + likely[self._weak[there] == weak[likely]]).tolist()

    def _strong(self, place: int) -> bytes:
        return strong_hash(self.content[place : place + self.blocks.block])

    def _strong_of(self, number: int) -> bytes:
        return self.blocks.strong[number * STRONG_BYTES : (number + 1) * STRONG_BYTES]
