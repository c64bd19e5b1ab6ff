"""A recording's spectrogram in blocks, without the blocks in which and around which nothing reaches the gate."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf.features.gate import GateConfig, RunningGate, before_denoising
from ecotf.features.spectrogram import Spectrogram
from ecotf.features.streaming import finish_block, new_levels

_PUSH_S = 0.4  # so that fresh levels are still in the cache when their bands are compared


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of a recording.

    Attributes
    ----------
    first
        Number of the first frame, counted from the recording's start.
    values
        float32 ``[n, rows]``.
    reaches
        bool ``[n]``: which frames reach the gate; None where there is no gate.
    """

    first: int
    values: NDArray[np.float32]
    reaches: NDArray[np.bool_] | None = None


class GatedStream:
    """As a spectrogram's own stream, bit for bit, but only blocks near enough to something that reaches the gate.

    Blocks that are passed over cost their transform and the comparison with the floor, not the denoising, the smoothing
    and all that comes after.

    Parameters
    ----------
    threshold_db
        A frame reaches the gate when a band of it is at least so far over its floor.
    margin
        Frames: a block is kept when a frame reaches the gate in it or within this of it.

    Attributes
    ----------
    frames, frames_passed
        How many frames were settled, and how many of them were passed over.
    """

    def __init__(self, spectrogram: Spectrogram, config: GateConfig, threshold_db: float, margin: int) -> None:
        self._made = spectrogram
        self._levels = before_denoising(spectrogram).stream()
        self._gate = RunningGate(config, spectrogram)
        self._threshold = np.float32(threshold_db)
        self._margin = margin
        self._push_samples = max(1, round(_PUSH_S * spectrogram.sample_rate))
        self._room = new_levels(spectrogram, 2 * spectrogram.block_frames)
        self._pieces: deque[NDArray[np.float32]] = deque()  # levels of frames that are not settled
        self._blocks: deque[tuple[int, NDArray[np.bool_]]] = deque()  # not settled: first frame, and what reaches
        self._compared = 0  # frames in all blocks so far
        self._latest = -(1 << 62)  # the latest settled frame that reaches the gate
        self.frames = self.frames_passed = 0

    def push(self, sound: NDArray[Any]) -> list[Stretch]:
        """Take more sound, [n_samples]; return the blocks that are settled and kept, in order."""
        for at in range(0, len(sound), self._push_samples):
            self._take(self._levels.push(sound[at : at + self._push_samples]))
        return self._settle(final=False)

    def finish(self) -> list[Stretch]:
        """End the recording; return its last blocks that are kept."""
        self._take(self._levels.finish())
        self._add(self._gate.finish())
        return self._settle(final=True)

    def _take(self, levels: NDArray[np.float32]) -> None:
        if len(levels):
            self._pieces.append(levels)
            self._add(self._gate.push(levels))

    def _add(self, blocks: list[NDArray[np.float32]]) -> None:
        for over_floor in blocks:
            self._blocks.append((self._compared, over_floor >= self._threshold))
            self._compared += len(over_floor)

    def _settle(self, final: bool) -> list[Stretch]:
        """Keep or skip each block once the sound within the margin after it is known."""
        kept = []
        while self._blocks:
            first, reaches = self._blocks[0]
            end = first + len(reaches)
            if not final and end + self._margin > self._compared:
                break
            if first - self._latest <= self._margin or self._reached_before(end + self._margin):
                kept.append(Stretch(first, self._finished(len(reaches)), reaches))
            else:
                self._drop(len(reaches))
                self.frames_passed += len(reaches)
            if reaches.any():
                self._latest = first + int(np.flatnonzero(reaches)[-1])
            self.frames = end
            self._blocks.popleft()
        return kept

    def _reached_before(self, end: int) -> bool:
        """Whether a frame of the blocks that wait, before frame ``end``, reaches the gate."""
        return any(bool(reaches[: max(0, end - first)].any()) for first, reaches in self._blocks)

    def _finished(self, n_frames: int) -> NDArray[np.float32]:
        """The oldest frames, denoised and smoothed as one block."""
        values = np.empty((n_frames, self._made.n_rows), np.float32)
        done = 0
        for piece in self._drop(n_frames):
            self._room[done : done + len(piece), : self._made.n_rows] = piece
            done += len(piece)
        finish_block(self._made, self._room, n_frames, values)
        return values

    def _drop(self, n_frames: int) -> list[NDArray[np.float32]]:
        """Take the levels of the oldest frames off the queue."""
        taken = []
        while n_frames:
            piece = self._pieces.popleft()
            if len(piece) > n_frames:
                self._pieces.appendleft(piece[n_frames:])
                piece = piece[:n_frames]
            taken.append(piece)
            n_frames -= len(piece)
        return taken
