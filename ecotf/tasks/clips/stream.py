"""Sound in, detections of segments or events out: windows, scores of all models, thresholds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import TYPE_CHECKING

import numpy as np

from ecotf.detection.finders import FINDERS, EventFinder, Framing, Numbers
from ecotf.detection.frequency_boxes import BoxedEvents
from ecotf.detection.held import HeldDetections
from ecotf.detection.scoring import Stopwatch
from ecotf.detection.segment_model import SegmentModel
from ecotf.detection.segments import ScoredRows, SegmentScorer, WindowCutter, margin_of
from ecotf.detection.view import COLUMNS, in_order
from ecotf.errors import ConfigError
from ecotf.tasks.base import Cuts, StreamOptions
from ecotf.tasks.clips.plan import InferenceConfig

if TYPE_CHECKING:
    import pandas as pd

SHORTEST_S = 0.1
"""In less sound nothing could be heard."""
_BLOCK_S = 10.0


@dataclass(frozen=True)
class Answering:
    """Models that answer together, and what is a detection.

    Attributes
    ----------
    configs
        The ``inference`` of each; segments and ends are the same in all.
    weights
        Of each in the mean of their logits; they need not add up to 1.
    thresholds
        Of every class, for segments.
    event_thresholds
        Of every class where detections are events, of one model alone; None where they are segments.
    finder
        What the event finder was fitted to; None of one that is not fitted.
    boxes
        What the edges of events in frequency were fitted to; None where no class was.
    """

    models: tuple[SegmentModel, ...]
    configs: tuple[InferenceConfig, ...]
    weights: tuple[float, ...]
    classes: tuple[str, ...]
    thresholds: dict[str, float]
    event_thresholds: dict[str, float] | None = None
    finder: Numbers | None = None
    boxes: Numbers | None = None

    @property
    def rate(self) -> int:
        """Samples in a second, of all models."""
        return self.models[0].sample_rate

    @property
    def segment_s(self) -> float:
        """Length of a segment, seconds."""
        return self.configs[0].segment_s

    @property
    def band_hz(self) -> tuple[float, float]:
        """The lowest and the highest frequency that the first model hears."""
        return self.models[0].band_hz

    def cutter(self) -> WindowCutter:
        """Make a cutter of windows that are wide enough for all models."""
        margin = max(margin_of(model, config) for model, config in zip(self.models, self.configs, strict=True))
        return WindowCutter(round(self.segment_s * self.rate), margin, self.configs[0].ends)

    def boxed(self) -> BoxedEvents | None:
        """Make what gives the events of a channel their edges in frequency; None where nothing does."""
        config = self.configs[0].boxes
        if config is None or self.event_thresholds is None:
            return None
        return BoxedEvents(config, self.classes, self.boxes, self.band_hz, self.rate)

    def probabilities(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """Compute scores ``[segments, classes]`` from the models' logits."""
        from scipy.special import expit

        return np.asarray(expit(joined_logits(logits, [m.classes for m in self.models], self.weights, self.classes)))


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


class Reports:
    """Detections from the scores of segments, or from those of frames where events are asked for.

    Parameters
    ----------
    threshold
        One for everything, instead of those of the run.
    """

    def __init__(self, answering: Answering, threshold: float | None = None) -> None:
        fitted = answering.event_thresholds
        self._answering, self._of_events = answering, fitted is not None
        stated = answering.thresholds if fitted is None else fitted
        self._levels = np.array([stated[name] if threshold is None else threshold for name in answering.classes])
        self._events: EventFinder | None = None
        self._rows = self._framed = 0
        self._end_s: float | None = None

    def begin_at(self, row: int) -> None:
        """Let this segment come first."""
        self._rows = self._framed = row

    def rows(self, probabilities: np.ndarray, end_s: float | None = None) -> pd.DataFrame:
        """Return the classes of each segment that reach their thresholds.

        ``detection_score`` is the greatest score of any class in the segment.

        Parameters
        ----------
        probabilities
            ``[segments, classes]``, the segments that follow those before.
        end_s
            Where the sound ends; None while more may come.
        """
        first, self._rows = self._rows, self._rows + len(probabilities)
        if self._of_events:
            return in_order([])
        row, code = np.nonzero(probabilities >= self._levels)
        return _rows_table(self._answering, probabilities, row, code, first, end_s)

    def frames(
        self, probabilities: np.ndarray, inside_s: np.ndarray, frame_s: float, end_s: float | None = None
    ) -> pd.DataFrame:
        """Return the events that are complete after the frames of the next segments.

        ``[segments, frames, classes]``, or with what a head says of onsets behind the classes.
        """
        first, self._framed = self._framed, self._framed + len(probabilities)
        if not self._of_events:
            return in_order([])
        answering = self._answering
        if self._events is None:
            framing = Framing(answering.classes, frame_s, answering.band_hz, self._levels)
            self._events = FINDERS.build(answering.configs[0].events, framing, answering.finder)
        if not answering.configs[0].events.reads_onsets:
            probabilities = probabilities[..., : len(answering.classes)]
        times = ((first + np.arange(len(probabilities)))[:, None] * answering.segment_s + inside_s).ravel()
        levels = probabilities.reshape(len(times), -1)
        if end_s is not None:  # frames beyond the end are left out; the very first one stays
            heard = times < end_s
            heard[: int(first == 0)] = True
            levels, times = levels[heard], times[heard]
        self._end_s = end_s
        return self._ended(self._events.push(levels, times), end_s)

    def finish(self) -> pd.DataFrame:
        """Return the last events."""
        return in_order([]) if self._events is None else self._ended(self._events.finish(), self._end_s)

    @property
    def settled_s(self) -> float:
        """Later detections begin after this; seconds."""
        if not self._of_events:
            return self._rows * self._answering.segment_s
        return 0.0 if self._events is None else self._events.settled_s

    def _ended(self, found: pd.DataFrame, end_s: float | None) -> pd.DataFrame:
        """Events end with the sound at the latest."""
        return found if end_s is None else found.assign(end_s=np.minimum(found["end_s"], end_s))


def segment_table(answering: Answering, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
    """Score every class in every segment of sound ``[n]``; return a table with the columns of detections."""
    stream = SegmentStream(answering, sample_rate, StreamOptions(segments=True))
    stream.push(sound)
    stream.finish()
    scores = stream.take_segments()
    row, code = np.nonzero(np.ones_like(scores))
    return _rows_table(answering, scores, row, code, 0, len(sound) / sample_rate)


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


def _rows_table(
    answering: Answering, scores: np.ndarray, row: np.ndarray, code: np.ndarray, first: int, end_s: float | None
) -> pd.DataFrame:
    import pandas as pd

    segment_s, (low_hz, high_hz) = answering.segment_s, answering.band_hz
    ends = (first + row + 1) * segment_s
    columns = (
        (first + row) * segment_s, ends if end_s is None else np.minimum(ends, end_s), low_hz, high_hz,
        pd.Series([answering.classes[k] for k in code], dtype=str), scores[row, code],
        scores.max(axis=1, initial=0.0)[row],
    )  # fmt: skip
    return in_order([pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))])


def joined_logits(
    logits: Sequence[np.ndarray], names: Sequence[Sequence[str]], weights: Sequence[float], classes: Sequence[str]
) -> np.ndarray:
    """Average logits by weight, float64 ``[segments, classes]``; each class over those that know it, by name."""
    total = np.zeros((len(logits[0]), len(classes)))
    weight = np.zeros(len(classes))
    place = {name: k for k, name in enumerate(classes)}
    plain, count = np.zeros_like(total), np.zeros(len(classes))
    for values, own, share in zip(logits, names, weights, strict=True):
        at = [place[name] for name in own]
        total[:, at] += share * values
        plain[:, at] += values
        weight[at] += share
        count[at] += 1
    # A class that only runs of weight 0 know is answered by those alike.
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), plain / np.maximum(count, 1))
