"""Candidates at the peaks of a spectrogram: one patch on each."""

from __future__ import annotations

import numpy as np

from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.boxes import BoxConfig, measure_boxes
from ecotf.detection.scoring import PatchDetector, Stopwatch, score_patches
from ecotf.detection.view import Found, View, may_be_named
from ecotf.features.peaks import PeakConfig, find_peaks, measure_peaks, strongest_rows


def find_at_peaks(
    view: View, detector: PatchDetector, config: PeakConfig, box: BoxConfig, floor: float, watch: Stopwatch
) -> Found:
    """Find the candidates of a view: every peak may be a call, and each species that is likelier there than no call.

    Parameters
    ----------
    floor
        Candidates with a lower score are not kept.
    """
    values, hop_s = view.values, view.hop_s
    strongest = strongest_rows(values)
    peaks = find_peaks(values, hop_s, config, strongest)
    inside = np.flatnonzero((peaks >= view.start) & (peaks < view.stop))
    inside = inside[view.is_open(peaks[inside], detector, watch)]
    if not len(inside):
        return Found.of([])
    measures = measure_peaks(values, peaks, hop_s, config, strongest)[inside] if detector.needs_measures else None
    scores = score_patches(detector, values, peaks[inside], watch, measures)
    boxes = measure_boxes(values, peaks, hop_s, box, separate=True, strongest=strongest)[inside]
    calls = 1 - scores[:, 0]
    tracks = [(CALL_LABEL, calls, calls > floor)]
    for index, label in enumerate(detector.species):
        track = scores[:, 1 + index]
        tracks.append((label, track, may_be_named(detector, scores, index) & (track > floor)))
    return Found.of([(label, boxes[kept], track[kept], calls[kept]) for label, track, kept in tracks])
