"""Sound in pieces of any size to finished spectrogram frames: the desktop's frames, in memory that does not grow."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.facts import FrontEndFacts, PeakFacts
from ecotf_recorder.scoring.block import finish_block


class Model(Protocol):
    """Parts of a model that scoring needs; see `ecotf_recorder.model.DeviceModel`."""

    @property
    def facts(self) -> PeakFacts:
        """Description of the model."""

    def spectrogram(self, sound: NDArray[Any]) -> NDArray[np.float32]:
        """Scaled frames of one chunk of sound."""

    def score(self, window: NDArray[np.float32], measures: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Scores of one window."""


class FrontEnd:
    """The frames of one stretch of sound, in the order in which it comes."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._made: FrontEndFacts = model.facts.front_end
        made = self._made
        self._in_blocks = made.denoise != "none" or len(made.taps) > 1
        self._takes = np.dtype(model.facts.takes)
        self._carry = np.empty(0, self._takes)
        self._skip = 0  # samples still to be passed over, where the hop is longer than the window
        # A block is finished once it is sure that no short tail will join it.
        self._levels = np.empty((made.block_frames + made.block_frames // 2 + made.chunk_frames, made.rows), np.float32)
        self._pending = 0

    def push(self, sound: NDArray[Any]) -> NDArray[np.float32]:
        """Take more sound, int16 or float32 ``[n]``; return the frames that are finished, float32 ``[k, rows]``."""
        made = self._made
        skipped = min(self._skip, len(sound))
        self._skip -= skipped
        self._carry = np.concatenate([self._carry, as_samples(sound[skipped:], self._takes)])
        out = []
        at, step = 0, made.chunk_frames * made.hop
        while len(self._carry) - at >= made.chunk_samples:
            out += self._add(self._model.spectrogram(self._carry[at : at + made.chunk_samples]))
            at += step
        self._skip += max(0, at - len(self._carry))
        self._carry = self._carry[at:].copy()
        return self._joined(out)

    def finish(self) -> NDArray[np.float32]:
        """End the stretch; return its last frames. A tail shorter than half a block joins the last block."""
        made = self._made
        n_frames = max(0, (len(self._carry) - made.n_window) // made.hop + 1)
        out = []
        if n_frames:
            padded = np.zeros(made.chunk_samples, self._takes)
            padded[: len(self._carry)] = self._carry
            out = self._add(self._model.spectrogram(padded)[:n_frames])
        if self._pending:
            out.append(self._finished(self._pending))
        self._carry, self._skip = self._carry[:0], 0
        return self._joined(out)

    def _add(self, frames: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        if not self._in_blocks:
            return [frames]
        self._levels[self._pending : self._pending + len(frames)] = frames
        self._pending += len(frames)
        block, out = self._made.block_frames, []
        while self._pending >= block + block // 2:
            out.append(self._finished(block))
        return out

    def _finished(self, n_frames: int) -> NDArray[np.float32]:
        made = self._made
        block = finish_block(self._levels[:n_frames].copy(), made.denoise, made.mask_level, made.taps)
        self._levels[: self._pending - n_frames] = self._levels[n_frames : self._pending].copy()
        self._pending -= n_frames
        return block

    def _joined(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.concatenate(parts) if parts else np.empty((0, self._made.rows), np.float32)


def as_samples(sound: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Samples as int16, or as float32 in [-1, 1]; finer ones are rounded to 16 bits for a model that takes those."""
    if sound.dtype == dtype:
        return sound
    if dtype == np.int16:
        return np.asarray(np.clip(np.rint(np.asarray(sound, np.float32) * 32768), -32768, 32767), np.int16)
    return np.asarray(np.multiply(sound, np.float32(1 / 32768), dtype=np.float32))
