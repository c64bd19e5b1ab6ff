"""Percentile bootstrap over recordings: what the figures would be had other recordings of the same kind been made.

Calls within a recording resemble each other, so whole recordings (or whole groups of them) are drawn, never calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecotf.evaluation.average_precision import divide, precision_recall_f1
from ecotf.evaluation.matching import Floats, Integers, Track

if TYPE_CHECKING:
    from scipy import sparse

Interval = list[float | None]

_BLOCK = 2_000_000  # cells of one block of resamples: about 16 MB an array


def resample_weights(
    n_recordings: int, n_bootstrap: int, seed: int, groups: Sequence[object] | npt.NDArray | None = None
) -> Integers:
    """Return how often each recording is drawn in each resample.

    Parameters
    ----------
    n_recordings
        R.
    n_bootstrap
        B, the number of resamples.
    groups
        The group of each recording, length R; groups are then drawn whole. Without it, each recording is its own.

    Returns
    -------
    ndarray of int64, shape [B, R]
    """
    membership = np.arange(n_recordings) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    n_groups = int(membership.max(initial=-1)) + 1
    if not n_groups:
        return np.zeros((n_bootstrap, 0), dtype=np.int64)
    draws = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_bootstrap)
    return draws[:, membership].astype(np.int64)


def interval(resampled: npt.ArrayLike, weights: Integers, confidence: float = 0.95) -> Interval:
    """Return the central percentile interval of the resampled values [B]; undefined ones (NaN) are left out.

    ``[None, None]`` when nothing could be resampled: fewer than two recordings or groups, or no defined value.
    """
    values = np.asarray(resampled, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size or (weights == weights[:1]).all():
        return [None, None]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return [float(low), float(high)]


def resampled_detection(
    track: Track, threshold: float, weights: Integers, at_precision: float = 0.95
) -> dict[str, Floats]:
    """Average precision, recall at ``at_precision``, and precision, recall and F1 at ``threshold``, per resample.

    Parameters
    ----------
    weights
        From :func:`resample_weights`, shape [B, R].

    Returns
    -------
    dict of ndarray, shape [B] each
        Keys ``ap``, ``recall_at_95_precision``, ``precision``, ``recall``, ``f1``.
    """
    recordings, n_recordings = track.recording_index, len(track.calls_per_recording)
    kept = track.scores >= threshold
    n_kept = weights @ np.bincount(recordings[kept], minlength=n_recordings)
    n_found = weights @ np.bincount(recordings[kept & track.hits], minlength=n_recordings)
    n_calls = weights @ track.calls_per_recording
    precision, recall, f1 = precision_recall_f1(n_found, n_kept, n_calls)
    ap, recall_at = _curve_figures(track, weights, n_calls, at_precision)
    return {"ap": ap, "recall_at_95_precision": recall_at, "precision": precision, "recall": recall, "f1": f1}


def _curve_figures(track: Track, weights: Integers, n_calls: Integers, at_precision: float) -> tuple[Floats, Floats]:
    """Average precision and recall at a precision, per resample; NaN in a resample without calls.

    Only scores that some hit has can add recall, so candidates are first counted per recording between such scores:
    a sparse table [S, R], which the weights then multiply.
    """
    hit_scores, segment_of_hit = np.unique(-track.scores[track.hits], return_inverse=True)
    segment = np.searchsorted(hit_scores, -track.scores, side="left")
    before_last_hit = segment < hit_scores.size
    shape = (hit_scores.size, len(track.calls_per_recording))
    candidates = _counts(segment[before_last_hit], track.recording_index[before_last_hit], shape)
    hits = _counts(segment_of_hit, track.recording_index[track.hits], shape)
    ap, recall_at = np.zeros(len(weights)), np.zeros(len(weights))
    # In blocks: [scores, resamples] at once would not fit for a season of recordings.
    block = max(1, _BLOCK // max(1, hit_scores.size))
    for begin in range(0, len(weights), block):
        part = slice(begin, begin + block)
        new_hits = hits @ weights[part].T
        n_hits = np.cumsum(new_hits, axis=0)
        precision = n_hits / np.maximum(np.cumsum(candidates @ weights[part].T, axis=0), 1)
        ap[part] = np.sum(new_hits * precision, axis=0)
        recall_at[part] = np.max(n_hits, axis=0, where=precision >= at_precision, initial=0)
    calls = n_calls.astype(np.float64)
    return divide(ap, calls), divide(recall_at, calls)


def resampled_auc(track: Track, weights: Integers) -> Floats:
    """Area under the ROC curve of the candidates of one class, per resample, shape [B].

    NaN in a resample without a hit, or without a candidate that is none. As in `resampled_detection`, candidates are
    first counted per recording between the scores of hits.
    """
    hit_scores, segment_of_hit = np.unique(track.scores[track.hits], return_inverse=True)
    miss_scores, miss_recordings = track.scores[~track.hits], track.recording_index[~track.hits]
    shape = (hit_scores.size, len(track.calls_per_recording))
    hits = _counts(segment_of_hit, track.recording_index[track.hits], shape)
    # A miss counts from the first hit above it on; one that scores as much as a hit counts half there.
    ranked = []
    for side in ("left", "right"):
        segment = np.searchsorted(hit_scores, miss_scores, side=side)
        beneath = segment < hit_scores.size
        ranked.append(_counts(segment[beneath], miss_recordings[beneath], shape))
    beaten = ranked[0] + ranked[1]
    n_recordings = len(track.calls_per_recording)
    n_hits = weights @ np.bincount(track.recording_index[track.hits], minlength=n_recordings)
    n_misses = weights @ np.bincount(miss_recordings, minlength=n_recordings)
    won = np.zeros(len(weights))
    block = max(1, _BLOCK // max(1, hit_scores.size))
    for begin in range(0, len(weights), block):
        part = slice(begin, begin + block)
        won[part] = np.sum((hits @ weights[part].T) * np.cumsum(beaten @ weights[part].T, axis=0), axis=0) / 2
    return divide(won, n_hits * n_misses)


def _counts(rows: Integers, columns: Integers, shape: tuple[int, int]) -> sparse.csr_array:
    from scipy import sparse

    return sparse.csr_array((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)


def resampled_f1(n_hits: Integers, n_detections: Integers, n_calls: Integers, weights: Integers) -> Floats:
    """F1 of each label in each resample, shape [B, L], from counts per recording and label, shape [R, L] each.

    NaN where a resample holds no call of the label: there it takes no part in a macro average.
    """
    calls = weights @ n_calls
    f1 = precision_recall_f1(weights @ n_hits, weights @ n_detections, calls)[2]
    return np.where(calls > 0, f1, np.nan)


def mean_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN (without a warning) where nothing is defined."""
    defined = np.isfinite(values)
    count = defined.sum(axis=-1)
    return np.where(count > 0, np.where(defined, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)
