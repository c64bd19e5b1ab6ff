"""Thresholds of few calls: the mean of those that the validation detections would have had by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ecotf.evaluation.classification import label_tracks
from ecotf.evaluation.matching import (
    CALL_LABEL,
    DEFAULT_TOLERANCE_S,
    Track,
    check_labels,
    match_track,
    scored_tables,
)
from ecotf.evaluation.thresholds import (
    GRID,
    WITHOUT_DATA,
    FittedThresholds,
    check_scores,
    grid_position,
    middle_of_best,
    notes_of_few,
    with_guesses,
)

if TYPE_CHECKING:
    import pandas as pd

_RESAMPLES = 200


def fit_steady_thresholds(
    detections: pd.DataFrame,
    annotations: pd.DataFrame,
    recordings: Sequence[str],
    labels: Sequence[str],
    tolerance_s: float = DEFAULT_TOLERANCE_S,
    *,
    seed: int = 0,
) -> FittedThresholds:
    """Fit the threshold of each label, and of ``call``, by itself, as the mean over resampled validation data.

    With three calls of one recording the threshold of highest F1 jumps when one of them is taken away. So detections
    and missed calls are drawn again, 200 times, and the mean of the thresholds of highest F1 is taken (Breiman 1996,
    "Bagging predictors"). With scores drawn from known distributions it has a higher F1 on new ones than the threshold
    of highest F1, most with few calls (``benchmarks/thresholds.py``).

    Parameters
    ----------
    detections, annotations, recordings, labels
        As `fit_thresholds` takes them; scores lie from 0 to 1.
    seed
        Of the resampling.

    Returns
    -------
    FittedThresholds
        ``unfitted`` as that of `fit_thresholds`; ``notes`` say which thresholds rest on few calls.

    Raises
    ------
    DataError
        Tables that cannot be judged, or scores that are not from 0 to 1.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = {"recording": "a.wav", "start_s": [0.0, 2.0, 4.0], "end_s": [1.0, 3.0, 5.0], "label": "pitta"}
    >>> found = pd.DataFrame(spans).assign(score=[0.9, 0.8, 0.1])
    >>> fitted = fit_steady_thresholds(found, pd.DataFrame(spans)[:2], ["a.wav"], ["pitta"])
    >>> 0.1 < fitted.thresholds["pitta"] < 0.8
    True
    >>> fitted.notes[0]
    'thresholds of few calls, or of one recording: pitta 0.45 (2 calls, 1 recording); listen before you count'
    >>> fitted.unfitted
    ['call']
    """
    check_labels(labels, ())
    detections, calls = scored_tables(detections, annotations, recordings, ())
    check_scores(detections)
    n_recordings = len({str(recording) for recording in recordings})
    named = detections[detections["label"].isin(list(labels))].reset_index(drop=True)
    tracks = label_tracks(named, calls, labels, n_recordings, tolerance_s)
    found = {label: steady_threshold(track, seed) for label, track in tracks.items() if track.hits.any()}
    thresholds, unfitted = with_guesses(found, labels)
    every = match_track(detections[detections["label"] == CALL_LABEL], calls, n_recordings, tolerance_s)
    if every.hits.any():
        thresholds[CALL_LABEL] = steady_threshold(every, seed)
    else:
        thresholds[CALL_LABEL] = WITHOUT_DATA
        unfitted.append(CALL_LABEL)
    return FittedThresholds(thresholds, unfitted, notes_of_few(found, tracks))


def steady_threshold(track: Track, seed: int = 0) -> float:
    """Return the mean of the thresholds of highest F1, in steps of 0.01, of resampled detections and missed calls.

    Of neighbouring thresholds that do equally well the middle one is taken. ``track`` has a hit.
    """
    rng = np.random.default_rng(seed)
    level, hits = grid_position(track.scores), track.hits
    missed = track.n_calls - int(hits.sum())
    found: list[float] = []
    while len(found) < _RESAMPLES:
        weights = rng.poisson(1.0, len(level))
        if weights[hits].any():
            kept, right = _kept(level, weights), _kept(level[hits], weights[hits])
            f1 = 2 * right / (kept + right[0] + rng.poisson(1.0, missed).sum())
            found.append(float(GRID[middle_of_best(f1)]))
    return float(np.mean(found))


def _kept(level: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How much of the candidates each threshold of the grid keeps."""
    return np.bincount(level, weights, len(GRID))[::-1].cumsum()[::-1]
