"""Scores of a recording, row by row of some seconds, from models that see more than the row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.models.tagger import ClipModel

Ends = Literal["silence", "repeat"]
_LEAST_TAIL = 0.02  # of a row; what a resampler leaves over at the end is no row


class SegmentsConfig(Config):
    """How a recording is scored.

    Attributes
    ----------
    segment_s
        Length of a row; there is one after the other from the start.
    window_s
        What the model sees of each, the row in its middle. By default as much as it was trained on.
    ends
        What is beyond the ends of the recording: ``silence``, or the sound next to that end again (``repeat``), as
        clips are filled up with ``clips.pad: repeat``. A background that is taken away needs the latter.
    score
        Of a row: the answer for the window (``clip``), or the greatest of the frames in the row (``centre_frames``,
        of heads that give frames).
    shift_frames, shift_share
        Test-time augmentation of ``centre_frames``: the frames are read again so many earlier and later, and each of
        the two counts ``shift_share``; 0 does without. Published: 3 (or 2) and 0.25.
    batch
        Rows that go through the network at once.
    """

    segment_s: float = Field(5.0, gt=0)
    window_s: float | None = Field(None, gt=0)
    ends: Ends = "silence"
    score: Literal["clip", "centre_frames"] = "clip"
    shift_frames: int = Field(0, ge=0)
    shift_share: float = Field(0.25, gt=0, lt=0.5)
    batch: int = Field(16, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> SegmentsConfig:
        if self.window_s is not None and self.window_s < self.segment_s:
            raise ValueError(f"window_s = {self.window_s:g} is shorter than a row, segment_s = {self.segment_s:g}")
        if self.shift_frames and self.score != "centre_frames":
            raise ValueError("shift_frames: frames can be shifted where score is centre_frames")
        return self


class SegmentScores(NamedTuple):
    """Logits of a recording.

    Attributes
    ----------
    rows
        float32 ``[rows, classes]``
    frames
        float32 ``[frames, classes]``, the frames in the rows one after another; None of heads that give none.
    frame_times
        Middle of each frame, seconds.
    frame_s
        From one frame to the next.
    """

    rows: np.ndarray
    frames: np.ndarray | None
    frame_times: np.ndarray
    frame_s: float

    def until(self, end_s: float) -> SegmentScores:
        """The same without frames beyond ``end_s``, where the recording ends; the first one stays."""
        if self.frames is None:
            return self
        n = max(1, int((self.frame_times < end_s).sum()))
        return self._replace(frames=self.frames[:n], frame_times=self.frame_times[:n])


def segment_windows(
    blocks: Iterable[np.ndarray], row: int, margin: int, ends: Ends = "silence"
) -> Iterator[np.ndarray]:
    """The window of each row, float32 ``[margin + row + margin]``, from sound that comes in blocks.

    There is at least one row. Memory holds two windows and a block.
    """
    wanted = row + 2 * margin
    held, latest = np.empty(0, np.float32), np.empty(0, np.float32)
    seen = given = 0
    begun = False
    for block in blocks:
        seen += len(block)
        held = np.concatenate([held, block])
        latest = np.concatenate([latest, block])[-wanted:]
        if not begun and len(held) >= margin + row:
            held, begun = np.concatenate([_before(held[: margin + row], margin, ends), held]), True
        while begun and len(held) >= wanted:
            yield held[:wanted]
            held, given = held[row:], given + 1
    if not begun:
        held = np.concatenate([_before(held, margin, ends), held])
    rows = max(1, int(np.ceil(seen / row - _LEAST_TAIL)))
    missing = max(0, (rows - given - 1) * row + wanted - len(held))
    held = np.concatenate([held, _before(latest[::-1], missing, ends)[::-1]])
    for _ in range(given, rows):
        yield held[:wanted]
        held = held[row:]


def _before(sound: np.ndarray, n: int, ends: Ends) -> np.ndarray:
    """What comes in the ``n`` samples before ``sound``."""
    if ends == "silence" or not len(sound):
        return np.zeros(n, np.float32)
    return np.resize(sound[::-1], n)[::-1]


def margin_of(model: ClipModel, config: SegmentsConfig) -> int:
    """Samples on either side of a row."""
    return round(((config.window_s or model.window_s) - config.segment_s) / 2 * model.sample_rate)


def score_windows(
    model: ClipModel, config: SegmentsConfig, windows: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Logits of windows ``[n, samples]``.

    Returns
    -------
    Of rows ``[n, classes]``, of the frames in them ``[n, t, classes]``, and the middles of those frames, seconds from
    the start of the row.
    """
    return score_images(model, config, model.images(windows), windows.shape[1])


def score_images(
    model: ClipModel, config: SegmentsConfig, images: np.ndarray, samples: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """The same of the images of windows of ``samples``."""
    answers = model.logits(images)
    frames = answers.get("frames")
    if frames is None:
        return answers["clip"], None, np.empty(0)
    step = frame_length_s(model, samples, frames.shape[1])
    first, last = frames_in_segment(model, config, step, frames.shape[1])
    times = (np.arange(first, last) + 0.5) * step - margin_of(model, config) / model.sample_rate
    if config.score == "clip":
        return answers["clip"], frames[:, first:last], times

    def greatest(shift: int) -> np.ndarray:
        start = int(np.clip(first + shift, 0, frames.shape[1] - 1))
        return frames[:, start : max(start + 1, last + shift)].max(axis=1)

    rows = greatest(0)
    if config.shift_frames:
        share = config.shift_share
        rows = (1 - 2 * share) * rows + share * (greatest(-config.shift_frames) + greatest(config.shift_frames))
    return rows, frames[:, first:last], times


def frame_length_s(model: ClipModel, samples: int, frames: int) -> float:
    """From one frame of the network's answer to the next: backbones halve time again and again."""
    seen = model.spectrogram.n_frames(samples)
    return float(2.0 ** np.ceil(np.log2(seen / frames) - 1e-9)) * model.spectrogram.hop_s


def frames_in_segment(model: ClipModel, config: SegmentsConfig, step: float, frames: int) -> tuple[int, int]:
    """The first frame whose middle is in the row, and the first after those; at least one."""
    margin = margin_of(model, config) / model.sample_rate
    first = min(frames - 1, max(0, int(np.ceil(margin / step - 0.5))))
    return first, min(frames, max(first + 1, int(np.ceil((margin + config.segment_s) / step - 0.5))))


class SegmentCollector:
    """Takes the windows of a recording as they come, and gives its scores at the end."""

    def __init__(self, model: ClipModel, config: SegmentsConfig) -> None:
        self.model, self.config = model, config
        self._waiting: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []
        self._inside = np.empty(0)

    def push(self, window: np.ndarray) -> None:
        """Take a window that is as wide as `margin_of` says, or wider; its middle is used."""
        wanted = round(self.config.segment_s * self.model.sample_rate) + 2 * margin_of(self.model, self.config)
        spare = (len(window) - wanted) // 2
        self._waiting.append(window[spare : spare + wanted])
        if len(self._waiting) == self.config.batch:
            self._score()

    def finish(self) -> SegmentScores:
        """The scores of all that was pushed."""
        self._score()
        rows = np.concatenate(self._rows)
        if not self._frames:
            return SegmentScores(rows, None, np.empty(0), 0.0)
        times = (np.arange(len(rows))[:, None] * self.config.segment_s + self._inside).ravel()
        step = float(np.diff(self._inside).mean()) if len(self._inside) > 1 else self.config.segment_s
        return SegmentScores(rows, np.concatenate(self._frames).reshape(len(times), -1), times, step)

    def _score(self) -> None:
        if not self._waiting:
            return
        rows, frames, self._inside = score_windows(self.model, self.config, np.stack(self._waiting))
        self._rows.append(rows)
        if frames is not None:
            self._frames.append(frames)
        self._waiting.clear()
