"""Sound in, detections of segments or events out: windows, scores of all models, thresholds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import lcm
from typing import TYPE_CHECKING

import numpy as np

from ecotf.detection.held import HeldDetections
from ecotf.detection.scoring import Stopwatch
from ecotf.detection.segments import ScoredRows, SegmentScorer
from ecotf.detection.view import in_order
from ecotf.errors import ConfigError
from ecotf.tasks.base import Cuts, StreamOptions
from ecotf.tasks.clips.answering import Answering, Reports, rows_table

if TYPE_CHECKING:
    import pandas as pd

SHORTEST_S = 0.1
"""In less sound nothing could be heard."""
_BLOCK_S = 10.0


class SegmentStream:
    """The segments or events of one channel; `ecotf.tasks.base.ScoreStream` says how it is used.

    Parameters
    ----------
    start
        For the part of a channel that begins at this sample (`ecotf.tasks.base.Cuts`); None for a whole channel.

    Raises
    ------
    ConfigError
        Sound of another rate than the models', or a gate is asked for.
    """

    def __init__(
        self, answering: Answering, sample_rate: int, options: StreamOptions, start: int | None = None
    ) -> None:
        check_rate(sample_rate, answering.rate)
        check_options(options)
        self._answering, self._cutter = answering, answering.cutter()
        self._scorers = [SegmentScorer(*pair) for pair in zip(answering.models, answering.configs, strict=True)]
        self._scored: list[deque[np.ndarray]] = [deque() for _ in self._scorers]  # logits of segments, not yet joined
        self._reports, self._boxed = Reports(answering, options.threshold), answering.boxed()
        self._held, self.spent = HeldDetections(), Stopwatch()
        self._kept: list[np.ndarray] | None = [] if options.segments else None
        if start:
            row = start // round(answering.segment_s * answering.rate)
            self._cutter.begin_at(row)
            self._reports.begin_at(row)
        if start is not None:
            self._held = HeldDetections(max(0, start - self._cutter.margin), hold=False)

    def push(self, sound: np.ndarray) -> pd.DataFrame:
        """Take sound, float32 ``[n]``; return the detections that are settled now."""
        tables, block = [], round(_BLOCK_S * self._answering.rate)
        for at in range(0, len(sound), block):
            self._held.hear(sound[at : at + block])
            if self._boxed is not None:
                self._boxed.hear(sound[at : at + block])
            for window in self._cutter.push(sound[at : at + block]):
                tables += self._take([scorer.push(window) for scorer in self._scorers])
        return self._held.release(self._with_edges(tables, self._reports.settled_s))

    def finish(self) -> pd.DataFrame:
        """End the sound; return the last detections: none of sound shorter than `SHORTEST_S`."""
        end_s = self.samples / self._answering.rate
        if end_s < SHORTEST_S:
            return in_order([])
        tables = []
        for window in self._cutter.finish():
            tables += self._take([scorer.push(window) for scorer in self._scorers], end_s)
        tables += self._take([scorer.finish() for scorer in self._scorers], end_s)
        return self._held.release(self._with_edges([*tables, self._reports.finish()], None))

    def take_segments(self) -> np.ndarray:
        """Return the scores of segments since the last call, ``[n, classes]``."""
        if self._kept is None:
            raise ConfigError("the scores of segments were not kept: open the stream with segments=True")
        kept, self._kept = self._kept, []
        return np.concatenate([np.empty((0, len(self._answering.classes))), *kept])

    @property
    def samples(self) -> int:
        """Samples that were pushed."""
        return self._held.samples

    @property
    def windows(self) -> int:
        """Segments that were scored."""
        return self.spent.patches

    @property
    def silent(self) -> bool:
        """Whether all samples so far are the same."""
        return self._held.silent

    @property
    def settled_s(self) -> float:
        """Up to when all detections are out; seconds."""
        if self._held.are_waiting:
            return 0.0
        settled_s = self._reports.settled_s
        return settled_s if self._boxed is None else self._boxed.settled_s(settled_s)

    def _with_edges(self, tables: list[pd.DataFrame], settled_s: float | None) -> list[pd.DataFrame]:
        """Events with their edges in frequency, where they have such, as soon as those are known."""
        return tables if self._boxed is None else self._boxed.settle(tables, settled_s)

    def _take(self, scored: Sequence[list[ScoredRows]], end_s: float | None = None) -> list[pd.DataFrame]:
        """Take batches of each model, of any sizes; report the segments that all models have scored."""
        from scipy import special

        for queue, batches in zip(self._scored, scored, strict=True):
            queue.extend(row for batch in batches for row in batch.rows)
        n = min(map(len, self._scored))
        tables = []
        if n:
            logits = [np.stack([queue.popleft() for _ in range(n)]) for queue in self._scored]
            probabilities = self._answering.probabilities(logits)
            self.spent.patches += n
            if self._kept is not None:
                self._kept.append(probabilities)
            tables.append(self._reports.rows(probabilities, end_s))
        first = self._scorers[0]
        for batch in scored[0]:
            if batch.frames is not None:
                frames = special.expit(batch.frames.astype(np.float64))
                tables.append(self._reports.frames(frames, first.inside_s, first.frame_s, end_s))
        return tables


def segment_table(answering: Answering, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
    """Score every class in every segment of sound ``[n]``; return a table with the columns of detections."""
    stream = SegmentStream(answering, sample_rate, StreamOptions(segments=True))
    stream.push(sound)
    stream.finish()
    scores = stream.take_segments()
    row, code = np.nonzero(np.ones_like(scores))
    return rows_table(answering, scores, row, code, 0, len(sound) / sample_rate)


def cuts_of(answering: Answering, sample_rate: int, options: StreamOptions) -> Cuts | None:
    """Return where a channel may be cut: between batches of segments. Events may be of any length: None."""
    check_rate(sample_rate, answering.rate)
    if answering.event_thresholds is not None:
        return None
    together = lcm(*(config.batch for config in answering.configs))
    return Cuts(
        together * round(answering.segment_s * answering.rate), answering.cutter().margin, 1,
        lambda at: SegmentStream(answering, sample_rate, options, at),
    )  # fmt: skip


def check_options(options: StreamOptions) -> None:
    """Refuse a gate: runs of task clips have none; raises `ConfigError`."""
    if options.gate:
        raise ConfigError("--gate: a run of task clips has no gate; leave --gate out")


def check_rate(sample_rate: int, wanted: int) -> None:
    """Refuse sound of another rate than the model's; raises `ConfigError`."""
    if sample_rate != wanted:
        raise ConfigError(f"sample rate {sample_rate:g} Hz: the model hears {wanted:g} Hz; resample the sound to it")
