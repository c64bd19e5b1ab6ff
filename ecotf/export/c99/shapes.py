"""Shapes as the kernels take them: always four axes, with the steps from one number to the next along each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def four(values: Sequence[int], before: int) -> list[int]:
    """Pad a shape of fewer than four numbers to four, with ``before`` in front."""
    return [*[before] * (4 - len(values)), *(int(value) for value in values)]


def strides(shape: Sequence[int], whole: Sequence[int]) -> list[int]:
    """Return the steps through a tensor of ``shape`` broadcast to ``whole``: 0 along axes where it is repeated."""
    own, steps, step = four(shape, 1), [0] * 4, 1
    for axis in range(3, -1, -1):
        steps[axis] = 0 if own[axis] == 1 and four(whole, 1)[axis] != 1 else step
        step *= own[axis]
    return steps


def slice_block(
    shape: Sequence[int], begin: Sequence[int], end: Sequence[int], by: Sequence[int], options: Mapping[str, Any]
) -> tuple[int, dict[str, list[int]]]:
    """Return where a strided slice starts, and the block to move out of ``shape``."""
    own = strides(shape, shape)[4 - len(shape) :]
    start, sizes, steps = 0, [], []
    for axis, length in enumerate(shape):
        if axis >= len(begin):
            first, last, step = 0, length, 1
        else:
            step = by[axis]
            given = slice(
                None if options["beginMask"] >> axis & 1 else begin[axis],
                None if options["endMask"] >> axis & 1 else end[axis],
                step,
            )
            first, last, step = given.indices(length)
            if options["shrinkAxisMask"] >> axis & 1:
                first, step = begin[axis] % length, 1
                last = first + 1
        start += first * own[axis]
        sizes.append(len(range(first, last, step)))
        steps.append(step * own[axis])
    to, step = [0] * len(sizes), 1
    for axis in range(len(sizes) - 1, -1, -1):
        to[axis], step = step, step * sizes[axis]
    return start, {"size": four(sizes, 1), "from": four(steps, 0), "to": four(to, 0)}
