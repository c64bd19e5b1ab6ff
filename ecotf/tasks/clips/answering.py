"""What models of segments answer with together, and what of their scores becomes a detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecotf.detection.finders import FINDERS, EventFinder, Framing, Numbers
from ecotf.detection.frequency_boxes import BoxedEvents
from ecotf.detection.segment_model import SegmentModel
from ecotf.detection.segments import WindowCutter, margin_of
from ecotf.detection.view import COLUMNS, in_order
from ecotf.tasks.clips.plan import InferenceConfig

if TYPE_CHECKING:
    import pandas as pd


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
        return rows_table(self._answering, probabilities, row, code, first, end_s)

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


def rows_table(
    answering: Answering, scores: np.ndarray, row: np.ndarray, code: np.ndarray, first: int, end_s: float | None
) -> pd.DataFrame:
    """Return segments ``row`` with their classes ``code`` as detections; ``scores`` are ``[segments, classes]``."""
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
