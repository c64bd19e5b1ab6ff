"""One recording in blocks of any size: together bit for bit the frames of the whole, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf._kernels import spectrogram as kernels
from ecotf.errors import RecordingError
from ecotf.features.edges import RecordingEdges
from ecotf.features.preemphasis import PreEmphasis
from ecotf.features.sampling import Sampling
from ecotf.features.threads import in_threads

_SCALES = {"log1p": 0, "db": 1, "ln": 2, "power": 3, "pcen": 3}
_DENOISE = {"none": 0, "mean": 1, "median": 2, "published": 3}
_CHUNK_FRAMES = 512  # so that what follows the power finds it in the cache


class SpectrogramStream:
    """The frames of one recording, in the order in which its sound comes; made by ``spectrogram.stream()``."""

    def __init__(self, spectrogram: Sampling, threads: int = 1) -> None:
        config = spectrogram.config
        self._made = spectrogram
        self._threads = threads
        self._floor = 10 ** (config.floor_db / 10)
        self._in_blocks = config.denoise != "none" or config.smooth_sigma > 0
        self._block = spectrogram.block_frames if self._in_blocks else 0
        # a block is finished once it is sure that no short tail will join it
        self._levels = new_levels(self._made, self._block + self._block // 2)
        self._pending = 0  # frames in _levels
        self._carry: NDArray[Any] = np.empty(0, np.float32)  # samples that later frames still need
        self._skip = 0  # samples still to be passed over before the next frame begins
        self._frames_done = 0
        self._emphasis = PreEmphasis(spectrogram.preemphasis)
        self._edges = RecordingEdges(spectrogram.edge, config.padding)
        self._average = np.ones(spectrogram.n_rows, np.float32)

    def push(self, sound: NDArray[Any]) -> NDArray[np.float32]:
        """Take more sound, [n_samples]; return the frames that are finished, float32 [k, n_rows]."""
        pieces = self._edges.push(self._emphasis.push(checked(sound)))
        frames = self._pending + self._frames_in(pieces)
        if self._in_blocks:
            frames = whole_blocks(frames, self._block)
        out = np.empty((frames, self._made.n_rows), np.float32)
        self._take(pieces, out)
        return out

    def finish(self) -> NDArray[np.float32]:
        """End the recording; return its last frames, float32 [k, n_rows]."""
        pieces = self._edges.finish()
        out = np.empty((self._pending + self._frames_in(pieces), self._made.n_rows), np.float32)
        self._finish_block(self._pending, out[self._take(pieces, out) :])
        return out

    def whole(self, sound: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Return all frames of a recording at once into ``out`` [n_frames, n_rows]."""
        done = self._take(self._edges.push(self._emphasis.push(sound)), out)
        done += self._take(self._edges.finish(), out[done:])
        self._finish_block(self._pending, out[done:])

    def _frames_in(self, pieces: list[NDArray[Any]]) -> int:
        samples = len(self._carry) - self._skip + sum(map(len, pieces))
        return max(0, (samples - self._made.n_window) // self._made.hop + 1)

    def _take(self, pieces: list[NDArray[Any]], out: NDArray[np.float32]) -> int:
        """Write what is finished to the head of ``out``; return how many frames that is."""
        done = 0
        for piece in pieces:
            for part, start, n_frames in self._runs(piece):
                done += self._add(part, start, n_frames, out[done:])
        return done

    def _runs(self, sound: NDArray[Any]) -> Iterator[tuple[NDArray[Any], int, int]]:
        """Where the next frames lie: those that begin in the samples kept from before, then those in ``sound``."""
        n_window, hop = self._made.n_window, self._made.hop
        carry = self._carry
        if len(carry):
            if carry.dtype != sound.dtype:
                raise ValueError(f"one recording cannot change from {carry.dtype} to {sound.dtype} samples")
            joined = np.concatenate([carry, sound[: n_window - 1]])
            n_frames = min(max(0, (len(joined) - n_window) // hop + 1), -(-len(carry) // hop))
            yield joined, 0, n_frames
            start = n_frames * hop
            if len(joined) == len(carry) + len(sound) and start < len(carry):
                self._carry = joined[start:]
                return
            self._skip = start - len(carry)
        n_frames = max(0, (len(sound) - self._skip - n_window) // hop + 1)
        if n_frames:
            yield sound, self._skip, n_frames
        start = self._skip + n_frames * hop
        self._carry = sound[start:].copy()
        self._skip = max(0, start - len(sound))

    def _add(self, sound: NDArray[Any], start: int, n_frames: int, out: NDArray[np.float32]) -> int:
        """Compute ``n_frames`` more frames; finish every block that is sure. Returns the number of finished frames."""
        hop, block = self._made.hop, self._block
        if not self._in_blocks:
            self._rows(sound, start, out[:n_frames], self._frames_done)
            self._frames_done += n_frames
            return n_frames
        done = 0
        while n_frames > 0:
            sure = whole_blocks(self._pending + n_frames, block) // block
            if sure and not self._pending:
                fresh = self._blocks(sound, start, sure, out[done:])
                done += fresh
            else:
                fresh = min(n_frames, max(0, block - self._pending)) if sure else n_frames
                levels = self._levels[self._pending : self._pending + fresh]
                self._rows(sound, start, levels, self._frames_done + self._pending)
                self._pending += fresh
                if sure:
                    done += self._finish_block(block, out[done:])
            start += fresh * hop
            n_frames -= fresh
        return done

    def _blocks(self, sound: NDArray[Any], start: int, n_blocks: int, out: NDArray[np.float32]) -> int:
        """Whole blocks straight from the sound, in several threads if they do not depend on each other."""
        made, block = self._made, self._block
        shares = min(self._threads, n_blocks) if made.config.scale != "pcen" else 1

        def share(part: int) -> None:
            levels = self._levels if shares == 1 else new_levels(made, block)
            for i in range(part * n_blocks // shares, (part + 1) * n_blocks // shares):
                at = i * block
                self._rows(sound, start + at * made.hop, levels[:block], self._frames_done + at, alone=True)
                finish_block(made, levels, block, out[at : at + block])

        in_threads(share, shares, shares)
        self._frames_done += n_blocks * block
        return n_blocks * block

    def _rows(
        self, sound: NDArray[Any], start: int, out: NDArray[np.float32], number: int, alone: bool = False
    ) -> None:
        """The rows of frames, before denoising, into all of ``out``; the first is frame ``number`` of the recording."""
        made = self._made
        n_frames = len(out)
        is_pcen = made.config.scale == "pcen"
        shares = 1 if alone else min(self._threads, max(1, n_frames // _CHUNK_FRAMES))
        step = -(-n_frames // shares) if shares > 1 or not is_pcen else _CHUNK_FRAMES

        def share(part: int) -> None:
            first = part * step
            frames = out[first : first + step]
            at = start + first * made.hop
            bad = made.plan.rows(sound, at, made.hop, len(frames), frames, _SCALES[made.config.scale], self._floor)
            if bad >= 0:
                when = (number + first + bad) * made.hop_s + made.offset_s - made.n_window / 2 / made.sample_rate
                raise RecordingError(f"a sample near {max(0, when):.3f} s is not a number (NaN or infinite)", "corrupt")
            if is_pcen and shares == 1:
                self._pcen(frames)

        in_threads(share, -(-n_frames // step) if n_frames else 0, shares)
        if is_pcen and shares > 1:
            self._pcen(out)

    def _pcen(self, frames: NDArray[np.float32]) -> None:
        made, pcen = self._made, self._made.config.pcen
        kernels.pcen(frames, len(frames), self._average, made.pcen_pace, pcen.gain, pcen.bias, pcen.power, pcen.eps)

    def _finish_block(self, n_frames: int, out: NDArray[np.float32]) -> int:
        """Denoise and smooth the oldest ``n_frames`` pending frames as one block into ``out``."""
        if n_frames:
            finish_block(self._made, self._levels, n_frames, out)
        self._levels[: self._pending - n_frames] = self._levels[n_frames : self._pending]
        self._pending -= n_frames
        self._frames_done += n_frames
        return n_frames


def new_levels(made: Sampling, n_frames: int) -> NDArray[np.float32]:
    """Room for frames whose rows fill whole vectors; what fills them up stays 0."""
    return np.zeros((n_frames, made.n_rows + -made.n_rows % kernels.LANES_IN_VECTOR), np.float32)


def finish_block(made: Sampling, levels: NDArray[np.float32], n_frames: int, out: NDArray[np.float32]) -> None:
    """Denoise and smooth the first ``n_frames`` of ``levels`` (`new_levels`; they are changed) as one block."""
    config = made.config
    denoise = _DENOISE[config.denoise]
    kernels.finish_block(levels, n_frames, made.n_rows, denoise, config.mask_level, made.smoothing, out[:n_frames])


def whole_blocks(frames: int, block: int) -> int:
    """Of so many frames, those in blocks that no short tail can join any more."""
    return max(0, (frames - block // 2) // block) * block


def checked(sound: NDArray[Any]) -> NDArray[Any]:
    """Return the sound as contiguous float32 or int16, one channel."""
    sound = np.asarray(sound)
    if sound.ndim != 1:
        raise ValueError(f"sound of shape {sound.shape}: expected one channel, [n_samples]")
    if sound.dtype == np.int16:
        return np.ascontiguousarray(sound)
    if not np.issubdtype(sound.dtype, np.floating):
        raise ValueError(f"sound of {sound.dtype}: expected float32 or int16")
    return np.ascontiguousarray(sound, np.float32)
