"""Candidates: every place that may be a call, with its box, down to a low score. Thresholds are applied later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from pydantic import Field

from ecotf._kernels.events import local_maxima, refine_peaks, smooth_gaussian
from ecotf.config import Config
from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.boxes import BoxConfig, drop_overlapping, measure_boxes
from ecotf.detection.scoring import ScoringConfig, Stopwatch, score_windows
from ecotf.features.pulses import PulseConfig, find_pulses, measure_pulses
from ecotf.models.detector import Detector

COLUMNS = ("start_s", "end_s", "low_hz", "high_hz", "label", "score")


class DetectionConfig(Config):
    """From scores to candidates. Smoothing and separation are the published ones, and for scores on a grid alone.

    Attributes
    ----------
    smooth_s
        Standard deviation of the Gaussian that scores on a grid are smoothed with over time.
    separation_s
        Of two peaks of the score nearer than this, the higher one stays.
    floor
        Candidates below it are not kept.
    """

    scoring: ScoringConfig = ScoringConfig()
    smooth_s: float = Field(0.0006, ge=0)
    separation_s: float = Field(0.012, ge=0)
    floor: float = Field(0.01, ge=0, lt=1)
    box: BoxConfig = BoxConfig()


def find_candidates(
    pieces: Iterable[np.ndarray],
    detector: Detector,
    config: DetectionConfig,
    pulses: PulseConfig,
    hop_s: float,
    offset_s: float,
    frequencies_hz: np.ndarray,
    segment_s: float = 10.0,
    stopwatch: Stopwatch | None = None,
) -> Iterator[pd.DataFrame]:
    """Find the candidates of a recording, a segment at a time, in memory that does not grow with its length.

    Parameters
    ----------
    pieces
        The spectrogram in pieces of any length, float32 ``[slices, rows]``.
    hop_s, offset_s
        Seconds between slices, and the time of the middle of slice 0.
    frequencies_hz
        Middle of each row.

    Yields
    ------
    Candidates in order of time: ``start_s, end_s, low_hz, high_hz, label, score``. How the pieces are cut makes no
    difference.
    """
    # Whatever decides on a candidate lies within this distance: its window, its pulse, its box, and its neighbours'.
    margin_s = 3 * (detector.windows.width_s + pulses.margin_s + config.box.search_s + config.box.reach_s)
    margin_s += 4 * config.smooth_s + 2 * config.separation_s + 3 * config.scoring.stride_s
    margin, segment = round(margin_s / hop_s), max(1, round(segment_s / hop_s))
    buffer = np.empty((0, len(frequencies_hz)), np.float32)
    base = emitted = 0  # slices before the buffer, and slices whose candidates are out
    watch = stopwatch or Stopwatch()

    def emit(until: int) -> pd.DataFrame:
        found = _find(buffer, emitted - base, until - base, base, detector, config, pulses, hop_s, watch)
        half_band = (frequencies_hz[1] - frequencies_hz[0]) / 2
        first = offset_s + base * hop_s
        return pd.DataFrame(
            {
                "start_s": first + (found["first"] - 0.5) * hop_s,
                "end_s": first + (found["last"] + 0.5) * hop_s,
                "low_hz": frequencies_hz[found["low"]] - half_band,
                "high_hz": frequencies_hz[found["high"]] + half_band,
                "label": found["label"],
                "score": found["score"],
            },
            columns=list(COLUMNS),
        ).sort_values(["start_s", "label"], ignore_index=True)

    for piece in pieces:
        buffer = np.concatenate([buffer, piece])
        while base + len(buffer) >= emitted + segment + margin:
            yield emit(emitted + segment)
            emitted += segment
            drop = max(0, emitted - margin - base)
            buffer, base = buffer[drop:], base + drop
    yield emit(base + len(buffer))


def _find(
    values: np.ndarray,
    start: int,
    stop: int,
    base: int,
    detector: Detector,
    config: DetectionConfig,
    pulses: PulseConfig,
    hop_s: float,
    stopwatch: Stopwatch,
) -> pd.DataFrame:
    """Candidates whose slice lies in ``start`` to ``stop`` of the buffer."""
    if config.scoring.at == "pulses":
        found = find_pulses(values, hop_s, pulses)
        inside = np.flatnonzero((found >= start) & (found < stop))
        measures = measure_pulses(values, found, hop_s, pulses)[inside] if detector.needs_measures else None
        scores = score_windows(detector, values, found[inside], stopwatch, measures)
        boxes = measure_boxes(values, found, hop_s, config.box, separate=True)[inside]
        return _of_pulses(detector, scores, boxes, config.floor)
    stride = max(1, round(config.scoring.stride_s / hop_s))
    # A peak depends on the scores around it, and its box on the peaks whose boxes may overlap it.
    boxes_s = 2 * (config.box.search_s + config.box.reach_s)
    around = round((4 * config.smooth_s + 2 * config.separation_s + boxes_s) / hop_s) + 2 * stride
    first = max(0, start - around) + -(base + max(0, start - around)) % stride
    centres = np.arange(first, min(len(values), stop + around), stride)
    scores = score_windows(detector, values, centres, stopwatch)
    peaks = _of_grid(detector, values, centres, scores, config, hop_s, stride)
    return peaks[(peaks["slice"] >= start) & (peaks["slice"] < stop)]


def _of_pulses(detector: Detector, scores: np.ndarray, boxes: np.ndarray, floor: float) -> pd.DataFrame:
    """Every pulse is a candidate of a call, and of each species that is likelier there than no call at all."""
    tracks = [(CALL_LABEL, 1 - scores[:, 0], np.ones(len(scores), bool))]
    for index, label in enumerate(detector.species):
        tracks.append((label, scores[:, 1 + index], _may_be_named(detector, scores, index)))
    return _table(
        [(label, boxes[kept], track[kept]) for label, track, may in tracks for kept in [may & (track > floor)]]
    )


def _of_grid(
    detector: Detector,
    values: np.ndarray,
    centres: np.ndarray,
    scores: np.ndarray,
    config: DetectionConfig,
    hop_s: float,
    stride: int,
) -> pd.DataFrame:
    """The published way: smooth the scores over time, then take the peaks of each class."""
    step_s = stride * hop_s
    smooth = smooth_gaussian(np.ascontiguousarray(scores), config.smooth_s / step_s) if len(scores) else scores
    radius = max(1, round(config.separation_s / step_s))
    calls = np.ascontiguousarray(1 - smooth[:, 0])
    at_calls = np.asarray(local_maxima(calls, radius, config.floor))
    peaks = [(CALL_LABEL, calls, at_calls)]
    for index, label in enumerate(detector.species):
        track = np.ascontiguousarray(smooth[:, 1 + index])
        # Two networks: the second is asked where the first found a call. One network: every species has its own peaks.
        at = at_calls[track[at_calls] > config.floor] if detector.is_cascade else None
        at = np.asarray(local_maxima(track, radius, config.floor)) if at is None else at
        peaks.append((label, track, at[_may_be_named(detector, smooth, index)[at]]))
    rows = []
    for label, track, at in peaks:
        exact = np.rint((at + np.asarray(refine_peaks(track, at))) * stride).astype(int) if len(at) else at
        slices = np.clip(exact + (centres[0] if len(centres) else 0), 0, max(0, len(values) - 1))
        boxes = measure_boxes(values, slices, hop_s, config.box)
        keep = drop_overlapping(boxes, track[at])
        rows.append((label, boxes[keep], track[at][keep], slices[keep]))
    table = _table([row[:3] for row in rows])
    return table.assign(slice=np.concatenate([row[3] for row in rows]))


def _may_be_named(detector: Detector, scores: np.ndarray, index: int) -> np.ndarray:
    """As published: a species is named only where it is likelier than no call, or where the first network finds one."""
    return scores[:, 0] < 0.5 if detector.is_cascade else scores[:, 1 + index] > scores[:, 0]


def _table(rows: list[tuple[str, np.ndarray, np.ndarray]]) -> pd.DataFrame:
    boxes = np.concatenate([boxes for _, boxes, _ in rows])
    return pd.DataFrame(
        {
            "first": boxes[:, 0],
            "last": boxes[:, 1],
            "low": boxes[:, 2],
            "high": boxes[:, 3],
            "label": np.repeat([label for label, _, _ in rows], [len(boxes) for _, boxes, _ in rows]),
            "score": np.concatenate([scores for _, _, scores in rows]).astype(float),
        }
    )
