"""The sound of a recording in chunks, filtered without edges between them; memory does not grow with the recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ecotf.audio.band_pass import band_passed

_SETTLED_S = 1.0  # what a filter remembers after this time is far below the last bit of a sample


class Chunk(NamedTuple):
    """A stretch of filtered sound, with some more on either side of it.

    Attributes
    ----------
    start
        Its first sample in the recording.
    sound
        float64, with what comes before and after.
    inside
        Where the chunk itself lies in ``sound``.
    """

    start: int
    sound: np.ndarray
    inside: slice


def plan_chunks(samples: int, chunk: int, keep_tail: bool) -> list[tuple[int, int]]:
    """Plan where chunks begin and end.

    Examples
    --------
    >>> plan_chunks(25, 10, keep_tail=False), plan_chunks(25, 10, keep_tail=True), plan_chunks(24, 10, keep_tail=True)
    ([(0, 10), (10, 20)], [(0, 10), (10, 20), (20, 25)], [(0, 10), (10, 24)])
    """
    plan = [(start, start + chunk) for start in range(0, samples - chunk + 1, chunk)]
    end = plan[-1][1] if plan else 0
    if keep_tail and end < samples:
        if plan and 2 * (samples - end) < chunk:
            plan[-1] = (plan[-1][0], samples)
        else:
            plan.append((end, samples))
    return plan


def filtered_chunks(
    blocks: Iterator[np.ndarray],
    plan: Sequence[tuple[int, int]],
    samples: int,
    sample_rate: int,
    band_hz: tuple[float, float],
    order: int,
    margin_s: float,
) -> Iterator[Chunk]:
    """Yield the chunks of a recording, band-passed: the numbers of the whole recording filtered at once.

    Parameters
    ----------
    blocks
        The recording from its beginning, in pieces of any length.
    samples
        How many of them count; filtering does not look beyond.
    margin_s
        How much must be right beside a chunk.
    """
    beside = round((margin_s + _SETTLED_S) * sample_rate)
    held, begins = np.empty(0, np.float32), 0
    for start, stop in plan:
        pieces, there = [held], begins + len(held)
        while there < min(stop + beside, samples) and (block := next(blocks, None)) is not None:
            pieces.append(block)
            there += len(block)
        held = np.concatenate(pieces)
        first, last = max(0, start - beside), min(stop + beside, samples, there)
        sound = band_passed(held[first - begins : last - begins], sample_rate, *band_hz, order)
        yield Chunk(start, sound, slice(start - first, min(stop, last) - first))
        gone = max(0, stop - beside - begins)
        held, begins = held[gone:], begins + gone
