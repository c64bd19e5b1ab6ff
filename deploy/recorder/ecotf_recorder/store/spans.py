"""Sound to keep: a span around each detection, near ones joined, cut from what the stretch has brought lately."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.scoring.front_end import as_samples
from ecotf_recorder.scoring.held import Detection


@dataclass
class Span:
    """A piece of a stretch, in samples, and the detections in it."""

    start: int
    end: int
    detections: list[Detection] = field(default_factory=list)

    @property
    def best(self) -> Detection:
        """The surest detection."""
        return max(self.detections, key=lambda one: one.score)


@dataclass(frozen=True)
class SpanSettings:
    """Seconds before and after a detection, between spans that are joined, and of the longest span."""

    before_s: float
    after_s: float
    merge_s: float
    longest_s: float


class RecentSound:
    """The last samples of a stretch, int16, by their number in the stretch; memory is taken once."""

    def __init__(self, n_samples: int) -> None:
        self._ring = np.empty(max(1, n_samples), np.int16)
        self.end = 0

    @property
    def length(self) -> int:
        """How many samples there is room for."""
        return len(self._ring)

    def push(self, samples: NDArray[Any]) -> None:
        """Take the next samples."""
        self.end += len(samples)
        fresh = as_samples(samples[-len(self._ring) :], np.dtype(np.int16))
        at = (self.end - len(fresh)) % len(self._ring)
        head = min(len(fresh), len(self._ring) - at)
        self._ring[at : at + head] = fresh[:head]
        self._ring[: len(fresh) - head] = fresh[head:]

    def cut(self, start: int, end: int) -> tuple[int, NDArray[np.int16]]:
        """Return the kept samples of ``start`` to ``end``, and the number of the first."""
        start = max(start, self.end - len(self._ring), 0)
        end = max(start, min(end, self.end))
        n = len(self._ring)
        at, head = start % n, min(end - start, n - start % n)
        return start, np.concatenate([self._ring[at : at + head], self._ring[: end - start - head]])


class SpanPlanner:
    """Collects detections of one stretch into spans."""

    def __init__(self, settings: SpanSettings, sample_rate: int) -> None:
        self._rate = sample_rate
        self._before, self._after, self._merge, self._longest = (
            round(seconds * sample_rate)
            for seconds in (settings.before_s, settings.after_s, settings.merge_s, settings.longest_s)
        )
        self._open: list[Span] = []

    def add(self, detection: Detection) -> None:
        """A detection, in order of time."""
        start = max(0, round(detection.start_s * self._rate) - self._before)
        end = round(detection.end_s * self._rate) + self._after
        last = self._open[-1] if self._open else None
        if last is not None and start <= last.end + self._merge and max(end, last.end) - last.start <= self._longest:
            last.end = max(end, last.end)
            last.detections.append(detection)
            return
        if last is not None and start < last.end:  # the longest span is full: the next one begins where it ends
            start = last.end
        self._open.append(Span(start, max(end, start + 1), [detection]))

    def ready(self, settled_s: float | None, n_samples: int) -> list[Span]:
        """Spans that no later detection can join and whose sound is there; ``settled_s`` None: all of them."""
        if settled_s is None:
            spans, self._open = self._open, []
            return spans
        settled = round(settled_s * self._rate)
        sure = [
            span for index, span in enumerate(self._open)
            if span.end <= n_samples
            and (index + 1 < len(self._open) or settled - self._before > span.end + self._merge)
        ]  # fmt: skip
        self._open = [span for span in self._open if span not in sure]
        return sure
