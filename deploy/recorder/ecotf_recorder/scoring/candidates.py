"""Candidates: every place that may be a call, with its box, down to a low score; found a chunk at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.scoring.boxes import drop_overlapping, measure_boxes
from ecotf_recorder.scoring.front_end import Model
from ecotf_recorder.scoring.maxima import local_maxima, refine_peaks, smooth_gaussian
from ecotf_recorder.scoring.patches import cut_patch
from ecotf_recorder.scoring.peaks import find_peaks, measure_peaks, strength

CALL_LABEL = "call"
"""The label of candidates that say that something called, whatever its species."""


class Candidate(NamedTuple):
    """First and last slice of the stretch, lowest and highest row, all inside; label, its score, and that of a call."""

    first: int
    last: int
    low: int
    high: int
    label: str
    score: float
    detection_score: float


class CandidateStream:
    """The candidates of one stretch of sound, from its frames.

    Parameters
    ----------
    chunk_s
        How much is settled at a time. It makes no difference to what is found, only to when and to what it costs.

    Attributes
    ----------
    settled
        Slices of the stretch whose candidates are out.
    windows
        Patches that were scored.
    """

    def __init__(self, model: Model, chunk_s: float = 1.0) -> None:
        self._model, facts = model, model.facts
        detection, hop_s = facts.detection, facts.front_end.hop_s
        # Whatever decides on a candidate lies within this distance: its patch, its peak, its box, its neighbours'.
        margin_s = 3 * (facts.window_s + facts.peaks.margin_s + detection.box.search_s + detection.box.reach_s)
        margin_s += 4 * detection.smooth_s + 2 * detection.separation_s + 3 * detection.stride_s
        self._margin, self._chunk = round(margin_s / hop_s), max(1, round(chunk_s / hop_s))
        self._buffer = np.empty((0, facts.front_end.rows), np.float32)
        self._base = 0  # slices before the buffer
        self.settled = 0
        self.windows = 0

    def push(self, frames: NDArray[np.float32]) -> list[Candidate]:
        """Take more frames; return the candidates that are settled."""
        self._buffer = np.concatenate([self._buffer, frames])
        found: list[Candidate] = []
        while self._base + len(self._buffer) >= self.settled + self._chunk + self._margin:
            found += self._settle(self.settled + self._chunk)
            drop = max(0, self.settled - self._margin - self._base)
            self._buffer, self._base = self._buffer[drop:], self._base + drop
        return found

    def finish(self) -> list[Candidate]:
        """End the stretch; return its last candidates."""
        return self._settle(self._base + len(self._buffer))

    def _settle(self, until: int) -> list[Candidate]:
        start, stop = self.settled - self._base, until - self._base
        self.settled = until
        found = self._at_peaks(start, stop) if self._model.facts.detection.at == "peaks" else self._on_grid(start, stop)
        return [c._replace(first=c.first + self._base, last=c.last + self._base) for c in found]

    def _score(self, centres: NDArray[np.intp], measures: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        facts = self._model.facts
        scores = np.empty((len(centres), 1 + len(facts.species)), np.float32)
        for index, centre in enumerate(centres):
            patch = cut_patch(self._buffer, int(centre), facts.patches)
            scores[index] = self._model.score(patch, None if measures is None else measures[index : index + 1])
        self.windows += len(centres)
        return scores

    def _at_peaks(self, start: int, stop: int) -> list[Candidate]:
        """Every peak is a candidate of a call, and of each species that is likelier there than no call at all."""
        facts, values = self._model.facts, self._buffer
        hop_s = facts.front_end.hop_s
        if not len(values):
            return []
        track = strength(values, hop_s, facts.peaks.smooth_s)
        peaks = find_peaks(track, hop_s, facts.peaks)
        inside = np.flatnonzero((peaks >= start) & (peaks < stop))
        measures = measure_peaks(values, track, peaks, hop_s, facts.peaks)[inside] if facts.measures else None
        scores = self._score(peaks[inside], measures)
        boxes = measure_boxes(values, peaks, hop_s, facts.detection.box, separate=True)[inside]
        calls = 1 - scores[:, 0]
        tracks = [(CALL_LABEL, calls, np.ones(len(scores), bool))]
        tracks += [(label, scores[:, 1 + i], self._may_be_named(scores, i)) for i, label in enumerate(facts.species)]
        found = []
        for label, level, may in tracks:
            kept = may & (level > facts.detection.floor)
            found += _candidates(boxes[kept], label, level[kept], calls[kept])
        return found

    def _on_grid(self, start: int, stop: int) -> list[Candidate]:
        """The published way: smooth the scores over time, then take the peaks of each class."""
        facts, values, detection = self._model.facts, self._buffer, self._model.facts.detection
        hop_s = facts.front_end.hop_s
        stride = max(1, round(detection.stride_s / hop_s))
        # A peak depends on the scores around it, and its box on the peaks whose boxes may overlap it.
        boxes_s = 2 * (detection.box.search_s + detection.box.reach_s)
        around = round((4 * detection.smooth_s + 2 * detection.separation_s + boxes_s) / hop_s) + 2 * stride
        first = max(0, start - around) + -(self._base + max(0, start - around)) % stride
        centres = np.arange(first, min(len(values), stop + around), stride)
        if not len(centres):
            return []
        step_s = stride * hop_s
        scores = smooth_gaussian(self._score(centres), detection.smooth_s / step_s)
        radius = max(1, round(detection.separation_s / step_s))
        calls = 1 - scores[:, 0]
        at_calls = local_maxima(calls, radius, detection.floor)
        peaks = [(CALL_LABEL, calls, at_calls)]
        for i, label in enumerate(facts.species):
            track = scores[:, 1 + i]
            # Two networks: the second is asked where the first found a call. One: every species has its own peaks.
            at = at_calls[track[at_calls] > detection.floor] if facts.cascade else None
            at = local_maxima(track, radius, detection.floor) if at is None else at
            peaks.append((label, track, at[self._may_be_named(scores, i)[at]]))
        found = []
        for label, track, at in peaks:
            exact = at * stride + np.rint(refine_peaks(track, at) * stride).astype(np.intp)
            slices = np.clip(exact + centres[0], 0, len(values) - 1)
            boxes = measure_boxes(values, slices, hop_s, detection.box, separate=False)
            keep = drop_overlapping(boxes, track[at]) & (slices >= start) & (slices < stop)
            found += _candidates(boxes[keep], label, track[at][keep], calls[at][keep])
        return found

    def _may_be_named(self, scores: NDArray[np.float32], index: int) -> NDArray[np.bool_]:
        """A species is named only where it is likelier than no call, or where the first network finds one."""
        if self._model.facts.cascade:
            return np.asarray(scores[:, 0] < 0.5)
        return np.asarray(scores[:, 1 + index] > scores[:, 0])


def _candidates(
    boxes: NDArray[np.intp], label: str, scores: NDArray[np.float32], calls: NDArray[np.float32]
) -> list[Candidate]:
    rows = zip(boxes.tolist(), scores.astype(float).tolist(), calls.astype(float).tolist(), strict=True)
    return [Candidate(first, last, low, high, label, score, call) for (first, last, low, high), score, call in rows]
