"""Candidates from scores on a grid, the published way: peaks of the smoothed score of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecotf._kernels.events import local_maxima, refine_peaks, smooth_gaussian
from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.boxes import BoxConfig, drop_overlapping, measure_boxes
from ecotf.detection.scoring import PatchDetector, Stopwatch, score_patches
from ecotf.detection.view import Found, View, may_be_named


@dataclass(frozen=True)
class GridPeaks:
    """How peaks are found in scores on a grid; seconds, see `ecotf.detection.candidates.DetectionConfig`."""

    stride_s: float
    smooth_s: float
    separation_s: float
    floor: float
    box: BoxConfig
    hop_s: float

    @property
    def stride(self) -> int:
        """Slices from one patch to the next."""
        return max(1, round(self.stride_s / self.hop_s))

    @property
    def around(self) -> int:
        """Slices: a peak depends on the scores around it, and its box on the peaks whose boxes may overlap it."""
        boxes_s = 2 * (self.box.search_s + self.box.reach_s)
        return round((4 * self.smooth_s + 2 * self.separation_s + boxes_s) / self.hop_s) + 2 * self.stride

    def maxima(self, track: np.ndarray) -> np.ndarray:
        """Return the peaks of a track of scores, ``[n]``."""
        radius = max(1, round(self.separation_s / (self.stride * self.hop_s)))
        return np.asarray(local_maxima(track, radius, self.floor))

    def boxes(self, view: View, track: np.ndarray, at: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the box of each peak ``at`` of a track that begins at slice ``first``, and which of them are kept."""
        exact = at * self.stride
        if len(at):
            exact = exact + np.rint(np.asarray(refine_peaks(track, at)) * self.stride).astype(int)
        slices = np.clip(exact + first, 0, max(0, len(view.values) - 1))
        boxes = measure_boxes(view.values, slices, self.hop_s, self.box)
        keep = drop_overlapping(boxes, track[at]) & (slices >= view.start) & (slices < view.stop)
        return boxes[keep], at[keep]


def find_on_grid(view: View, detector: PatchDetector, grid: GridPeaks, watch: Stopwatch) -> Found:
    """Find the candidates of a view: score a grid of patches, smooth over time, take the peaks of each class."""
    stride, begin = grid.stride, max(0, view.start - grid.around)
    first = begin + -(view.base + begin) % stride
    centres = np.arange(first, min(len(view.values), view.stop + grid.around), stride)
    if not len(centres):
        return Found.of([])
    scores = np.zeros((len(centres), 1 + len(detector.species)), np.float32)
    scores[:, 0] = 1  # where the gate is shut there is no call
    looked_at = view.is_open(centres, detector, watch)
    scores[looked_at] = score_patches(detector, view.values, centres[looked_at], watch)
    smooth = np.asarray(smooth_gaussian(np.ascontiguousarray(scores), grid.smooth_s / (stride * grid.hop_s)))
    calls = np.ascontiguousarray(1 - smooth[:, 0])
    at_calls = grid.maxima(calls)
    peaks = [(CALL_LABEL, calls, at_calls)]
    for index, label in enumerate(detector.species):
        track = np.ascontiguousarray(smooth[:, 1 + index])
        # Two networks: the second is asked where the first found a call. One network: every species has its own peaks.
        at = at_calls[track[at_calls] > grid.floor] if detector.is_cascade else grid.maxima(track)
        peaks.append((label, track, at[may_be_named(detector, smooth, index)[at]]))
    parts = []
    for label, track, at in peaks:
        boxes, kept = grid.boxes(view, track, at, first)
        parts.append((label, boxes, track[kept], calls[kept]))
    return Found.of(parts)
