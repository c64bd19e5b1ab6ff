"""Sound in pieces of any size to detections in rows of some seconds, equal to the desktop's on the same recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.facts import SegmentFacts
from ecotf_recorder.scoring.band_edges import EdgeStream
from ecotf_recorder.scoring.change_events import open_events
from ecotf_recorder.scoring.front_end import as_samples
from ecotf_recorder.scoring.held import Detection, HeldDetections

_LEAST_TAIL = 0.02  # of a row; what a resampler leaves over at the end is no row


class SegmentModel(Protocol):
    """Parts of a model that segments need; see `ecotf_recorder.model.DeviceModel`."""

    def segment(self, sound: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """``scores`` and ``frames`` of a row, of the window around it."""


class SegmentStream:
    """The detections of one stretch of sound without gaps, in order of time, in memory that does not grow.

    Parameters
    ----------
    thresholds
        Instead of the model's own.
    longest_s
        An event that goes on for longer is cut.

    Attributes
    ----------
    windows
        Rows that were scored.
    """

    def __init__(
        self, model: SegmentModel, facts: SegmentFacts, thresholds: Mapping[str, float] | None, longest_s: float
    ) -> None:
        self._model, self._facts = model, facts
        levels = facts.thresholds if thresholds is None else thresholds
        self._levels = np.array([levels[name] for name in facts.species])
        self._events = open_events(facts, longest_s) if facts.reports_events else None
        boxes = facts.boxes if facts.reports_events else None
        self._edges: EdgeStream[Detection] | None = None
        if boxes is not None:
            self._edges = EdgeStream(boxes.settings, boxes.classes, facts.sample_rate_hz)
        self._sound = self._latest = np.empty(0, facts.takes)
        self._begun = False
        self._held = HeldDetections()
        self.windows = 0

    def push(self, sound: NDArray[Any]) -> list[Detection]:
        """Take more sound, int16 or float32 ``[n]``; return the detections that are settled."""
        facts, found = self._facts, []
        self._held.hear(sound)
        taken = as_samples(sound, np.dtype(facts.takes))
        if self._edges is not None:
            self._edges.hear(taken)
        self._sound = np.concatenate([self._sound, taken])
        self._latest = np.concatenate([self._latest, taken[-facts.samples :]])[-facts.samples :]
        if len(self._sound) >= facts.margin_samples + facts.segment_samples:
            self._begin()
        while self._begun and len(self._sound) >= facts.samples:
            found += self._score(self._sound[: facts.samples], None)
            self._sound = self._sound[facts.segment_samples :].copy()
            found += self._settled_events(None)
        return self._held.release(found)

    def finish(self) -> list[Detection]:
        """End the stretch; return its last detections."""
        facts, found = self._facts, []
        if self.samples / facts.sample_rate_hz < facts.window_s:
            return []
        rows = max(1, int(np.ceil(self.samples / facts.segment_samples - _LEAST_TAIL)))
        end_s = self.samples / facts.sample_rate_hz
        self._begin()
        missing = max(0, (rows - self.windows - 1) * facts.segment_samples + facts.samples - len(self._sound))
        self._sound = np.concatenate([self._sound, self._beyond(self._latest, missing)])
        while self.windows < rows:
            found += self._score(self._sound[: facts.samples], end_s)
            self._sound = self._sound[facts.segment_samples :]
        return self._held.release(found + self._settled_events(end_s))

    @property
    def samples(self) -> int:
        """Samples that were pushed."""
        return self._held.samples

    @property
    def silent(self) -> bool:
        """Whether all samples so far are the same; detections wait until one differs."""
        return self._held.silent

    @property
    def settled_s(self) -> float:
        """Up to when all detections are out: later ones begin after this."""
        if self._held.are_waiting:
            return 0.0
        if self._events is None:
            return self.windows * self._facts.segment_s
        settled_s = self._events.settled_s
        return settled_s if self._edges is None else self._edges.settled_s(settled_s)

    def _begin(self) -> None:
        """Put before the sound what the first window sees there."""
        if not self._begun:
            facts, self._begun = self._facts, True
            first = self._sound[: facts.margin_samples + facts.segment_samples]
            before = self._beyond(first[::-1], facts.margin_samples)[::-1]
            self._sound = np.concatenate([before, self._sound])

    def _beyond(self, sound: NDArray[Any], n: int) -> NDArray[Any]:
        """Make the ``n`` samples after ``sound``, where nothing was recorded."""
        return np.resize(sound, n) if self._facts.repeats and len(sound) else np.zeros(n, self._sound.dtype)

    def _score(self, window: NDArray[Any], end_s: float | None) -> list[Detection]:
        """Score the next segment; return its detections, none where events are reported."""
        facts, outputs = self._facts, self._model.segment(window)
        start_s = self.windows * facts.segment_s
        self.windows += 1
        if self._events is not None:
            self._events.push(outputs["frames"])
            return []
        scores = outputs["scores"].astype(np.float64)
        until = start_s + facts.segment_s if end_s is None else min(start_s + facts.segment_s, end_s)
        return [
            Detection(start_s, until, *facts.band_hz, facts.species[code], float(scores[code]), float(scores.max()))
            for code in np.flatnonzero(scores >= self._levels)
        ]

    def _settled_events(self, end_s: float | None) -> list[Detection]:
        """Return the events that are complete; ``end_s`` is None while more may come."""
        facts, events = self._facts, self._events
        if events is None:
            return []
        last = np.inf if end_s is None else end_s
        found = [
            (
                event.code,
                Detection(
                    event.start_s,
                    min(event.end_s, last),
                    *facts.band_hz,
                    facts.species[event.code],
                    event.score,
                    event.detection_score,
                ),
            )
            for event in events.settle(end_s)
            if event.score >= self._levels[event.code]
        ]
        if self._edges is None:
            return [one for _, one in found]
        waiting = [(one.start_s, one.end_s, code, one) for code, one in found]
        known = self._edges.settle(waiting, None if end_s is not None else events.settled_s)
        return [one._replace(low_hz=low, high_hz=high) for one, low, high in known]
