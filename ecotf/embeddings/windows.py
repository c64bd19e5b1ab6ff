"""Cutting sound into the windows of an embedder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

LEAST_SHARE = 0.5
"""Share of a window that must be sound, of the last one of a longer sound. The rest is silence."""


def count_windows(frames: int, samples: int, hop: int) -> int:
    """Count the windows in a sound.

    Parameters
    ----------
    frames
        Its length, in samples of the embedder's rate.
    samples, hop
        Length of a window, and from the start of one to the start of the next.

    Examples
    --------
    The second window reaches past the end, and is more than half full:

    >>> count_windows(frames=16, samples=10, hop=10), count_windows(frames=14, samples=10, hop=10)
    (2, 1)
    """
    n = 1 + max(0, math.ceil((frames - samples) / hop))
    last = (n - 1) * hop
    return n - 1 if n > 1 and frames - last < LEAST_SHARE * samples else n


def windows_of(blocks: Iterable[np.ndarray], samples: int, hop: int) -> Iterator[np.ndarray]:
    """Cut sound that comes in blocks into windows, float32 ``[samples]``; memory holds a window and a block.

    There is at least one window; silence fills the last one up.

    Examples
    --------
    >>> [window.tolist() for window in windows_of([np.arange(4.0), np.arange(4.0, 6.0)], 4, 3)]
    [[0.0, 1.0, 2.0, 3.0], [3.0, 4.0, 5.0, 0.0]]
    """
    held, frames, given = np.empty(0, np.float32), 0, 0
    for block in blocks:
        held = np.concatenate([held, np.asarray(block, np.float32)])
        frames += len(block)
        at = given * hop - (frames - len(held))
        while len(held) - at >= samples:
            yield held[at : at + samples].copy()
            at, given = at + hop, given + 1
        held = held[min(at, len(held)) :].copy()
    while given < count_windows(frames, samples, hop):
        rest = held[given * hop - (frames - len(held)) :][:samples]
        yield np.pad(rest, (0, samples - len(rest)))
        given += 1


def cut_windows(sound: np.ndarray, samples: int, hop: int) -> np.ndarray:
    """Cut a whole sound ``[n]`` into windows, float32 ``[windows, samples]``; at least one."""
    return np.stack(list(windows_of([sound], samples, hop)))


def loud_windows(sound: np.ndarray, samples: int, within_db: float = 15.0) -> np.ndarray:
    """Cut windows, half a window apart, and keep those with sound in them, float32 ``[n, samples]``.

    Many clips are half silence. Kept is what is within ``within_db`` of the loudest window; short sound is filled up
    with silence.
    """
    if len(sound) <= samples:
        return np.pad(sound, (0, samples - len(sound)))[None]
    starts = np.rint(np.linspace(0, len(sound) - samples, 1 + -(-2 * (len(sound) - samples) // samples))).astype(int)
    windows = np.stack([sound[start : start + samples] for start in starts])
    power = (windows.astype(np.float64) ** 2).mean(axis=1)
    return np.asarray(windows[power >= power.max() * 10 ** (-within_db / 10)])
