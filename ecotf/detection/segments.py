"""Scores of a recording, row by row of some seconds, from models that see more than the row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.detection.segment_model import SegmentModel

if TYPE_CHECKING:
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


class WindowCutter:
    """Cuts the window of each row from sound that comes in pieces; memory holds two windows and a piece.

    Parameters
    ----------
    row, margin
        Samples of a row, and on either side of it.
    """

    def __init__(self, row: int, margin: int, ends: Ends = "silence") -> None:
        self._row, self._margin, self._ends = row, margin, ends
        self._wanted = row + 2 * margin
        self._held, self._latest = np.empty(0, np.float32), np.empty(0, np.float32)
        self._seen = self._given = 0
        self._begun = False

    def begin_at(self, row: int) -> None:
        """Let the window of this row come first; the first sample to come is the first of that window."""
        self._begun, self._given, self._seen = True, row, row * self._row - self._margin

    @property
    def margin(self) -> int:
        """Samples on either side of a row."""
        return self._margin

    def push(self, sound: np.ndarray) -> list[np.ndarray]:
        """Take more sound; return the windows that are full, float32 ``[margin + row + margin]`` each."""
        self._seen += len(sound)
        self._held = np.concatenate([self._held, sound])
        self._latest = np.concatenate([self._latest, sound[-self._wanted :]])[-self._wanted :]
        if not self._begun and len(self._held) >= self._margin + self._row:
            self._begin(self._held[: self._margin + self._row])
        windows, at = [], 0
        while self._begun and len(self._held) - at >= self._wanted:
            windows.append(self._held[at : at + self._wanted])
            at += self._row
        self._held, self._given = self._held[at:].copy(), self._given + len(windows)
        return windows

    def finish(self) -> list[np.ndarray]:
        """End the sound; return the last windows. There is at least one row in all."""
        if not self._begun:
            self._begin(self._held)
        left = max(1, int(np.ceil(self._seen / self._row - _LEAST_TAIL))) - self._given
        missing = max(0, (left - 1) * self._row + self._wanted - len(self._held))
        held = np.concatenate([self._held, sound_before(self._latest[::-1], missing, self._ends)[::-1]])
        self._given += left
        return [held[number * self._row :][: self._wanted] for number in range(left)]

    def _begin(self, first: np.ndarray) -> None:
        """Put before the sound what the first window sees there."""
        self._held, self._begun = np.concatenate([sound_before(first, self._margin, self._ends), self._held]), True


def segment_windows(
    blocks: Iterable[np.ndarray], row: int, margin: int, ends: Ends = "silence"
) -> Iterator[np.ndarray]:
    """Return the window around each segment, float32 ``[margin + segment + margin]``, from sound that comes in blocks.

    There is at least one row. Memory holds two windows and a block.
    """
    cutter = WindowCutter(row, margin, ends)
    for block in blocks:
        yield from cutter.push(block)
    yield from cutter.finish()


def sound_before(sound: np.ndarray, n: int, ends: Ends) -> np.ndarray:
    """Return the ``n`` samples before ``sound``, where nothing was recorded."""
    if ends == "silence" or not len(sound):
        return np.zeros(n, np.float32)
    return np.resize(sound[::-1], n)[::-1]


def margin_of(model: SegmentModel, config: SegmentsConfig) -> int:
    """Samples on either side of a row."""
    return round(((config.window_s or model.window_s) - config.segment_s) / 2 * model.sample_rate)


def score_windows(
    model: SegmentModel, config: SegmentsConfig, windows: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Logits of windows ``[n, samples]``.

    Returns
    -------
    Of rows ``[n, classes]``, of the frames in them ``[n, t, classes]``, and the middles of those frames, seconds from
    the start of the row.
    """
    return score_answers(model, config, model.answers(windows), windows.shape[1])


def score_images(
    model: ClipModel, config: SegmentsConfig, images: np.ndarray, samples: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """The same of the images of windows of ``samples``."""
    return score_answers(model, config, model.logits(images), samples)


def score_answers(
    model: SegmentModel, config: SegmentsConfig, answers: dict[str, np.ndarray], samples: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """The same of a model's answers for windows of ``samples``."""
    frames = answers.get("frames")
    if frames is None:
        return answers["clip"], None, np.empty(0)
    step = frame_length_s(model, samples, frames.shape[1])
    first, last = frames_in_segment(model, config, step, frames.shape[1])
    times = (np.arange(first, last) + 0.5) * step - margin_of(model, config) / model.sample_rate
    if config.score == "clip":
        return answers["clip"], frames[:, first:last], times

    of_classes = frames[..., : answers["clip"].shape[1]]  # what a head says of onsets stands behind them

    def greatest(shift: int) -> np.ndarray:
        start = int(np.clip(first + shift, 0, frames.shape[1] - 1))
        return of_classes[:, start : max(start + 1, last + shift)].max(axis=1)

    rows = greatest(0)
    if config.shift_frames:
        share = config.shift_share
        rows = (1 - 2 * share) * rows + share * (greatest(-config.shift_frames) + greatest(config.shift_frames))
    return rows, frames[:, first:last], times


def frame_length_s(model: SegmentModel, samples: int, frames: int) -> float:
    """From one frame of the answer to the next: backbones halve time again and again; one alone is the window."""
    if frames == 1:
        return samples / model.sample_rate
    return halved_to(model.spectrogram.n_frames(samples), frames) * model.spectrogram.hop_s


def halved_to(seen: int, frames: int) -> int:
    """How many of the ``seen`` frames of an image one of the ``frames`` of an answer stands for: a power of 2.

    Most backbones make a frame of what is left over at the end; those of PANNs leave it out.

    Examples
    --------
    >>> halved_to(251, 16), halved_to(251, 15)
    (16, 16)
    """
    length = int(2.0 ** np.ceil(np.log2(seen / frames) - 1e-9))
    shorter = length // 2
    return shorter if shorter and -(-seen // length) != frames and seen // shorter == frames else length


def frames_in_segment(model: SegmentModel, config: SegmentsConfig, step: float, frames: int) -> tuple[int, int]:
    """Return the first frame whose middle is in the segment, and the first after those; at least one."""
    margin = margin_of(model, config) / model.sample_rate
    first = min(frames - 1, max(0, int(np.ceil(margin / step - 0.5))))
    return first, min(frames, max(first + 1, int(np.ceil((margin + config.segment_s) / step - 0.5))))


class ScoredRows(NamedTuple):
    """Logits of some rows: ``[n, classes]``, and of the frames in them ``[n, t, classes]`` or None."""

    rows: np.ndarray
    frames: np.ndarray | None


class SegmentScorer:
    """Scores windows in batches as they come. The batches are counted from the start, so pieces make no difference.

    Attributes
    ----------
    inside_s
        Middles of the frames of a row, seconds from its start; empty before the first batch, and of heads that give
        no frames.
    """

    def __init__(self, model: SegmentModel, config: SegmentsConfig) -> None:
        self.model, self.config = model, config
        self._waiting: list[np.ndarray] = []
        self.inside_s = np.empty(0)

    @property
    def frame_s(self) -> float:
        """From one frame to the next."""
        return float(np.diff(self.inside_s).mean()) if len(self.inside_s) > 1 else self.config.segment_s

    def push(self, window: np.ndarray) -> list[ScoredRows]:
        """Take a window that is as wide as `margin_of` says, or wider; its middle is used. Return a full batch."""
        wanted = round(self.config.segment_s * self.model.sample_rate) + 2 * margin_of(self.model, self.config)
        spare = (len(window) - wanted) // 2
        self._waiting.append(window[spare : spare + wanted])
        return self.finish() if len(self._waiting) == self.config.batch else []

    def finish(self) -> list[ScoredRows]:
        """Score the windows that wait."""
        if not self._waiting:
            return []
        rows, frames, self.inside_s = score_windows(self.model, self.config, np.stack(self._waiting))
        self._waiting.clear()
        return [ScoredRows(rows, frames)]


class SegmentCollector:
    """Takes the windows of a recording as they come, and gives its scores at the end."""

    def __init__(self, model: SegmentModel, config: SegmentsConfig) -> None:
        self._scorer = SegmentScorer(model, config)
        self._scored: list[ScoredRows] = []

    def push(self, window: np.ndarray) -> None:
        """Take a window; see `SegmentScorer.push`."""
        self._scored += self._scorer.push(window)

    def finish(self) -> SegmentScores:
        """Return the scores of all that was pushed."""
        self._scored += self._scorer.finish()
        rows = np.concatenate([scored.rows for scored in self._scored])
        frames = [scored.frames for scored in self._scored if scored.frames is not None]
        if not frames:
            return SegmentScores(rows, None, np.empty(0), 0.0)
        scorer = self._scorer
        times = (np.arange(len(rows))[:, None] * scorer.config.segment_s + scorer.inside_s).ravel()
        return SegmentScores(rows, np.concatenate(frames).reshape(len(times), -1), times, scorer.frame_s)
