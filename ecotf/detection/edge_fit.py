"""The numbers by which the edges of a class in frequency are measured, fitted to boxes that people have drawn."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ecotf.detection.band_edges import ClassEdges, EdgeSettings, Levels, Line, measured

MEASURES = tuple(product((10.0, 15.0), (15.0, 25.0, 40.0), (0.005, 0.03)))
"""What is tried: decibels over the background, decibels under the loudest, and the share that is left out."""
_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FOLDS = 5
_LEAST_BOXES = 10  # fewer have the median box
_GAIN = 0.9  # what is measured has to err less than the median box by so much
_BEYOND = 0.25  # edges are looked for so much farther than those of the boxes, in parts of the band that they cover
_NOTHING = Line(0.0, 0.0, 0.0)


def searched_hz(truth: np.ndarray, band_hz: tuple[float, float]) -> tuple[float, float]:
    """Return the band that boxes ``[n, 2]`` cover, nine tenths of each edge, and a quarter more on either side."""
    low, high = float(np.quantile(truth[:, 0], 0.05)), float(np.quantile(truth[:, 1], 0.95))
    beyond = _BEYOND * (high - low)
    return max(band_hz[0], low - beyond), min(band_hz[1], high + beyond)


def measured_each(
    levels: Levels, start_s: float, end_s: float, settings: EdgeSettings, within_hz: tuple[float, float]
) -> np.ndarray:
    """Measure both edges of an event in every way that is tried, hertz ``[measures, 2]``; NaN for nothing."""
    numbers = [ClassEdges(*within_hz, *measure, _NOTHING, _NOTHING) for measure in MEASURES]
    found = [measured(levels, start_s, end_s, settings.around_s, one) for one in numbers]
    return np.array([(np.nan, np.nan) if edges is None else edges for edges in found])


def fit_class_edges(
    found: np.ndarray, truth: np.ndarray, recording: np.ndarray, within_hz: tuple[float, float]
) -> dict[str, Any]:
    """Choose a measure, and for each edge the line from what is measured to what people draw, or the median of theirs.

    A line is taken where it errs less than the median box on boxes that it was not fitted to: those of other
    recordings, or other boxes where there is one recording.

    Parameters
    ----------
    found
        ``[boxes, measures, 2]``, as of `measured_each`.
    truth
        ``[boxes, 2]``, low and high edge, hertz.
    recording
        Number of the recording of each box.
    within_hz
        Where edges were looked for.

    Returns
    -------
    The numbers of the class, as they go to ``thresholds.json``.
    """
    _, number = np.unique(recording, return_inverse=True)
    folds = (number if number.max() else np.arange(len(truth))) % _FOLDS
    errors = np.zeros((len(MEASURES), len(_WEIGHTS), 2))
    for fold in np.unique(folds):
        own, others = folds == fold, folds != fold
        if others.any():
            errors += _errors(found[own], truth[own], *_lines(found[others], truth[others]))
    typical = errors[0, 0]  # of weight 0, whatever was measured
    gains = np.divide(errors, typical, out=np.ones_like(errors), where=typical > 0)
    gains[(gains > _GAIN) | (len(truth) < _LEAST_BOXES)] = 1.0
    gains[:, 0] = 1.0
    measure = int(gains.min(axis=1).sum(axis=1).argmin())
    offsets, medians = _lines(found, truth)
    chosen = gains[measure].argmin(axis=0)
    numbers = dict(zip(ClassEdges._fields[:5], (*within_hz, *MEASURES[measure]), strict=True))
    lines = {
        edge: {
            "weight": _WEIGHTS[chosen[side]],
            "offset_hz": float(offsets[measure, chosen[side], side]),
            "typical_hz": float(medians[side]),
        }
        for side, edge in enumerate(("low", "high"))
    }
    return {**numbers, **lines, "boxes": len(truth)}


def _lines(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets ``[measures, weights, 2]`` of least absolute error, and the median edges ``[2]``."""
    medians = np.median(truth, axis=0)
    left = truth[:, None, None] - np.array(_WEIGHTS)[:, None] * np.where(np.isnan(found), medians, found)[:, :, None]
    return np.median(left, axis=0), medians


def _errors(found: np.ndarray, truth: np.ndarray, offsets: np.ndarray, medians: np.ndarray) -> np.ndarray:
    """Return the sum of the absolute errors of boxes, ``[measures, weights, 2]``."""
    said = np.array(_WEIGHTS)[:, None] * found[:, :, None] + offsets
    said = np.where(np.isnan(said), medians, said)
    return np.asarray(np.abs(said - truth[:, None, None]).sum(axis=0))
