"""Candidates: every peak of the scores, with its box, down to a low score. Thresholds are applied later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from pydantic import Field

from ecotf._kernels.events import local_maxima, refine_peaks, smooth_gaussian
from ecotf.config import Config
from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.boxes import BoxConfig, drop_overlapping, measure_boxes
from ecotf.detection.scoring import Scorer, ScoringConfig, Stopwatch
from ecotf.models.detector import Detector

COLUMNS = ("start_s", "end_s", "low_hz", "high_hz", "label", "score")


class DetectionConfig(Config):
    """From scores to candidates; the defaults are the published ones in real seconds.

    Attributes
    ----------
    smooth_s
        Standard deviation of the Gaussian over time.
    separation_s
        Of two peaks nearer than this, the higher one stays.
    floor
        Peaks below it are not kept.
    """

    scoring: ScoringConfig = ScoringConfig()
    smooth_s: float = Field(0.0006, ge=0)
    separation_s: float = Field(0.012, ge=0)
    floor: float = Field(0.02, ge=0, lt=1)
    box: BoxConfig = BoxConfig()


def find_candidates(
    pieces: Iterable[np.ndarray],
    detector: Detector,
    config: DetectionConfig,
    hop_s: float,
    offset_s: float,
    frequencies_hz: np.ndarray,
    segment_s: float = 10.0,
    stopwatch: Stopwatch | None = None,
) -> Iterator[pd.DataFrame]:
    """Score a recording and find its candidates, a segment at a time, in memory that does not grow with its length.

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
    scorer = Scorer(detector, config.scoring, hop_s, stopwatch=stopwatch)
    stride = scorer.stride
    # What a peak and its box depend on: smoothing, separation, the box itself and the boxes that it may overlap.
    margin_s = 4 * config.smooth_s + 2 * config.separation_s + 3 * (config.box.search_s + config.box.reach_s)
    margin = -(-round(margin_s / hop_s) // stride) + 2
    segment = max(1, round(segment_s / hop_s) // stride)
    values = np.empty((0, len(frequencies_hz)), np.float32)
    scores = np.empty((0, 1 + len(detector.species)), np.float32)
    base = emitted = 0  # positions before the buffers, and positions whose peaks are out

    def emit(until: int) -> pd.DataFrame:
        table = _peaks(values, scores, detector, config, hop_s, stride)
        inside = (table["position"] + base >= emitted) & (table["position"] + base < until)
        table = table[inside]
        first = offset_s + base * stride * hop_s
        half_bin = (frequencies_hz[1] - frequencies_hz[0]) / 2
        return pd.DataFrame(
            {
                "start_s": first + (table["first"] - 0.5) * hop_s,
                "end_s": first + (table["last"] + 0.5) * hop_s,
                "low_hz": frequencies_hz[table["low"]] - half_bin,
                "high_hz": frequencies_hz[table["high"]] + half_bin,
                "label": table["label"],
                "score": table["score"],
            },
            columns=list(COLUMNS),
        ).sort_values(["start_s", "label"], ignore_index=True)

    for piece in pieces:
        values = np.concatenate([values, piece])
        scores = np.concatenate([scores, scorer.push(piece)])
        while len(scores) >= emitted - base + segment + margin:
            until = emitted + segment
            yield emit(until)
            emitted = until
            drop = max(0, emitted - margin - base)
            scores, values, base = scores[drop:], values[drop * stride :], base + drop
    scores = np.concatenate([scores, scorer.finish()])
    yield emit(base + len(scores))


def _peaks(
    values: np.ndarray, scores: np.ndarray, detector: Detector, config: DetectionConfig, hop_s: float, stride: int
) -> pd.DataFrame:
    """Every peak of every track, in positions and slices of the buffers."""
    step_s = stride * hop_s
    smooth = smooth_gaussian(np.ascontiguousarray(scores), config.smooth_s / step_s) if len(scores) else scores
    radius = max(1, round(config.separation_s / step_s))
    not_call = smooth[:, 0]
    parts = []
    at_calls = local_maxima(np.ascontiguousarray(1 - not_call), radius, config.floor)
    parts.append(_boxed(values, 1 - not_call, at_calls, CALL_LABEL, config, hop_s, stride))
    for index, label in enumerate(detector.species):
        track = np.ascontiguousarray(smooth[:, 1 + index])
        if detector.is_cascade:
            at = at_calls[track[at_calls] > config.floor]
        else:
            at = local_maxima(track, radius, config.floor)
        # As published: a species is only named where it is likelier than no call at all.
        at = at[track[at] > not_call[at]] if not detector.is_cascade else at[not_call[at] < 0.5]
        parts.append(_boxed(values, track, at, label, config, hop_s, stride))
    return pd.concat(parts, ignore_index=True)


def _boxed(
    values: np.ndarray,
    track: np.ndarray,
    positions: np.ndarray,
    label: str,
    config: DetectionConfig,
    hop_s: float,
    stride: int,
) -> pd.DataFrame:
    track = np.ascontiguousarray(track)
    positions = np.asarray(positions)
    if not len(positions) or not len(values):
        return pd.DataFrame({name: [] for name in ("position", "first", "last", "low", "high")}, dtype=int).assign(
            label=pd.Series(dtype=str), score=pd.Series(dtype=float)
        )
    exact = positions + np.asarray(refine_peaks(track, positions))
    centres = np.clip(np.rint(exact * stride).astype(int), 0, len(values) - 1)
    boxes = measure_boxes(values, centres, hop_s, config.box)
    keep = drop_overlapping(boxes, track[positions])
    return pd.DataFrame(
        {
            "position": positions[keep],
            "first": boxes[keep, 0],
            "last": boxes[keep, 1],
            "low": boxes[keep, 2],
            "high": boxes[keep, 3],
            "label": label,
            "score": track[positions[keep]],
        }
    )
