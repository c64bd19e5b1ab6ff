"""Candidates: every place that may be a call, with its box, down to a low score. Thresholds are applied later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from ecotf._kernels.events import local_maxima, refine_peaks, smooth_gaussian
from ecotf.config import Config
from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.boxes import BoxConfig, drop_overlapping, measure_boxes
from ecotf.detection.buffer import SliceBuffer
from ecotf.detection.gate import open_patches
from ecotf.detection.scoring import ScoringConfig, Stopwatch, score_patches
from ecotf.features.gate import GateConfig
from ecotf.features.gated import Stretch
from ecotf.features.peaks import PeakConfig, find_peaks, measure_peaks, strongest_rows
from ecotf.models.detector import Detector
from ecotf.pipelines.patches import PatchesConfig

if TYPE_CHECKING:
    import pandas as pd

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
    gate
        What the gate listens to, where a user turns it on.
    """

    scoring: ScoringConfig = ScoringConfig()
    smooth_s: float = Field(0.0006, ge=0)
    separation_s: float = Field(0.012, ge=0)
    floor: float = Field(0.01, ge=0, lt=1)
    box: BoxConfig = BoxConfig()
    gate: GateConfig = GateConfig.model_validate({})


def margin_s(patches: PatchesConfig, config: DetectionConfig, peaks: PeakConfig) -> float:
    """Whatever decides on a candidate lies within this distance: its patch, its peak, its box, its neighbours'."""
    margin = 3 * (patches.width_s + peaks.margin_s + config.box.search_s + config.box.reach_s)
    return margin + 4 * config.smooth_s + 2 * config.separation_s + 3 * config.scoring.stride_s


def find_candidates(
    pieces: Iterable[np.ndarray | Stretch],
    detector: Detector,
    config: DetectionConfig,
    peaks: PeakConfig,
    hop_s: float,
    offset_s: float,
    frequencies_hz: np.ndarray,
    chunk_s: float = 10.0,
    stopwatch: Stopwatch | None = None,
) -> Iterator[pd.DataFrame]:
    """Find the candidates of a recording, a chunk at a time, in memory that does not grow with its length.

    Parameters
    ----------
    pieces
        The spectrogram in pieces of any length, float32 ``[slices, rows]``; or stretches of it, in order, with what
        reaches the gate: then patches in which nothing does are not scored. Gaps between stretches lie at least
        `margin_s` away from all that reaches the gate.
    hop_s, offset_s
        Seconds between slices, and the time of the middle of slice 0.
    frequencies_hz
        Middle of each row.

    Yields
    ------
    Candidates in order of time: ``start_s, end_s, low_hz, high_hz, label, score``. How the pieces are cut makes no
    difference.
    """
    margin = round(margin_s(detector.patches, config, peaks) / hop_s)
    chunk = max(1, round(chunk_s / hop_s))
    buffer = SliceBuffer(len(frequencies_hz))
    emitted = 0  # slices whose candidates are out
    watch = stopwatch or Stopwatch()

    def emit(until: int) -> pd.DataFrame:
        values, reaches = buffer.values, buffer.reaches
        start, stop, base = emitted - buffer.first, until - buffer.first, buffer.first
        found = _find(values, reaches, start, stop, base, detector, config, peaks, hop_s, watch)
        return _candidates(found, offset_s + base * hop_s, hop_s, frequencies_hz)

    for piece in pieces:
        stretch = piece if isinstance(piece, Stretch) else Stretch(buffer.end, piece)
        if stretch.first > buffer.end:
            if buffer.end > emitted:
                yield emit(buffer.end)
            buffer.restart(stretch.first)
            emitted = stretch.first
        buffer.add(stretch)
        while buffer.end >= emitted + chunk + margin:
            yield emit(emitted + chunk)
            emitted += chunk
            buffer.forget(max(0, emitted - margin))
    yield emit(buffer.end)


def _candidates(found: Found, first_s: float, hop_s: float, frequencies_hz: np.ndarray) -> pd.DataFrame:
    """What was found, in seconds and hertz and in order of time."""

    import pandas as pd

    half_band = (frequencies_hz[1] - frequencies_hz[0]) / 2
    start_s = first_s + (found.boxes[:, 0] - 0.5) * hop_s
    order = np.lexsort((found.labels, start_s))
    first, last, low, high = found.boxes[order].T
    columns = (
        first_s + (first - 0.5) * hop_s,
        first_s + (last + 0.5) * hop_s,
        frequencies_hz[low] - half_band,
        frequencies_hz[high] + half_band,
        found.labels[order],
        found.scores[order],
    )
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


class Found(NamedTuple):
    """Boxes ``[n, 4]`` in slices of the buffer and rows, with their labels and scores ``[n]``."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def _find(
    values: np.ndarray,
    reaches: np.ndarray | None,
    start: int,
    stop: int,
    base: int,
    detector: Detector,
    config: DetectionConfig,
    peaks: PeakConfig,
    hop_s: float,
    stopwatch: Stopwatch,
) -> Found:
    """Candidates whose slice lies in ``start`` to ``stop`` of the buffer."""
    if config.scoring.at == "peaks":
        strongest = strongest_rows(values)
        found = find_peaks(values, hop_s, peaks, strongest)
        inside = np.flatnonzero((found >= start) & (found < stop))
        inside = inside[_open(reaches, found[inside], detector, stopwatch)]
        if not len(inside):
            return _joined([])
        measures = None
        if detector.needs_measures:
            measures = measure_peaks(values, found, hop_s, peaks, strongest)[inside]
        scores = score_patches(detector, values, found[inside], stopwatch, measures)
        boxes = measure_boxes(values, found, hop_s, config.box, separate=True, strongest=strongest)[inside]
        return _of_peaks(detector, scores, boxes, config.floor)
    stride = max(1, round(config.scoring.stride_s / hop_s))
    # A peak depends on the scores around it, and its box on the peaks whose boxes may overlap it.
    boxes_s = 2 * (config.box.search_s + config.box.reach_s)
    around = round((4 * config.smooth_s + 2 * config.separation_s + boxes_s) / hop_s) + 2 * stride
    first = max(0, start - around) + -(base + max(0, start - around)) % stride
    centres = np.arange(first, min(len(values), stop + around), stride)
    scores = np.zeros((len(centres), 1 + len(detector.species)), np.float32)
    scores[:, 0] = 1  # where the gate is shut there is no call
    looked_at = _open(reaches, centres, detector, stopwatch)
    scores[looked_at] = score_patches(detector, values, centres[looked_at], stopwatch)
    return _of_grid(detector, values, centres, scores, config, hop_s, stride, start, stop)


def _open(reaches: np.ndarray | None, centres: np.ndarray, detector: Detector, stopwatch: Stopwatch) -> np.ndarray:
    """Which patches the gate lets through, bool ``[n]``; without a gate, all."""
    if reaches is None:
        return np.ones(len(centres), bool)
    is_open = open_patches(reaches, centres, detector.patches.slices(detector.front_end.hop_s))
    stopwatch.skipped += int((~is_open).sum())
    return is_open


def _of_peaks(detector: Detector, scores: np.ndarray, boxes: np.ndarray, floor: float) -> Found:
    """Every peak is a candidate of a call, and of each species that is likelier there than no call at all."""
    tracks = [(CALL_LABEL, 1 - scores[:, 0], np.ones(len(scores), bool))]
    for index, label in enumerate(detector.species):
        tracks.append((label, scores[:, 1 + index], _may_be_named(detector, scores, index)))
    return _joined(
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
    start: int,
    stop: int,
) -> Found:
    """The published way: smooth the scores over time, then take the peaks of each class in slices start to stop."""
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
        exact = at * stride + np.rint(np.asarray(refine_peaks(track, at)) * stride).astype(int) if len(at) else at
        slices = np.clip(exact + (centres[0] if len(centres) else 0), 0, max(0, len(values) - 1))
        boxes = measure_boxes(values, slices, hop_s, config.box)
        keep = drop_overlapping(boxes, track[at]) & (slices >= start) & (slices < stop)
        rows.append((label, boxes[keep], track[at][keep]))
    return _joined(rows)


def _may_be_named(detector: Detector, scores: np.ndarray, index: int) -> np.ndarray:
    """As published: a species is named only where it is likelier than no call, or where the first network finds one."""
    return scores[:, 0] < 0.5 if detector.is_cascade else scores[:, 1 + index] > scores[:, 0]


def _joined(rows: list[tuple[str, np.ndarray, np.ndarray]]) -> Found:
    return Found(
        np.concatenate([np.empty((0, 4), int), *(boxes for _, boxes, _ in rows)]),
        np.repeat(np.array([label for label, _, _ in rows], str), [len(boxes) for _, boxes, _ in rows]),
        np.concatenate([np.empty(0), *(scores for _, _, scores in rows)]),
    )
