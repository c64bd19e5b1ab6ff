"""Changing the sample rate with soxr, of a whole signal or of a stream of blocks, with equal numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soxr

_QUALITY = "HQ"  # soxr's 20-bit precision: four bits finer than what most recorders write


def resample(signal: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Resample a mono signal, float32 ``[frames]``; the result has ``round(frames * to_hz / from_hz)`` frames."""
    if from_hz == to_hz:
        return signal
    return soxr.resample(signal, from_hz, to_hz, quality=_QUALITY)


def resample_blocks(blocks: Iterator[np.ndarray], from_hz: float, to_hz: float) -> Iterator[np.ndarray]:
    """Resample a stream of consecutive mono blocks without edges between them.

    The concatenated result equals :func:`resample` of the concatenated blocks; the lengths of single blocks vary.
    """
    if from_hz == to_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=_QUALITY)
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)
