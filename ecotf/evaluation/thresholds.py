"""Thresholds per class, fitted on validation data: the caller hands in nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ecotf.errors import DataError
from ecotf.evaluation.average_precision import best_f1_threshold, precision_recall_f1
from ecotf.evaluation.classification import label_positions, label_tracks
from ecotf.evaluation.matching import (
    CALL_LABEL,
    DEFAULT_TOLERANCE_S,
    Floats,
    Integers,
    Track,
    check_labels,
    match_track,
    nearest_calls,
    scored_tables,
)
from ecotf.wording import counted

if TYPE_CHECKING:
    import pandas as pd

GRID = np.arange(101) / 100
"""Thresholds are tried in steps of 0.01: a machine's last bits rarely move a score over one."""

_NOTHING = -1  # the level of a candidate that does not exist: kept at no threshold
WITHOUT_DATA = 0.5
_FEW_CALLS = 10  # fewer than these, or calls of one recording alone, make a threshold that is told of
_NAMED = 5


class FittedThresholds(NamedTuple):
    """A threshold for every label and for ``call``, the labels whose threshold is a guess, and what people are told."""

    thresholds: dict[str, float]
    unfitted: list[str]
    notes: Sequence[str] = ()


def fit_thresholds(
    detections: pd.DataFrame,
    annotations: pd.DataFrame,
    recordings: Sequence[str],
    labels: Sequence[str],
    tolerance_s: float = DEFAULT_TOLERANCE_S,
    *,
    ignored_labels: Collection[str] = (),
) -> FittedThresholds:
    """Fit the threshold of each label by coordinate ascent, and that of the detector by its highest F1.

    Each label in turn tries 0 to 100 %; the one kept maximises the mean of detection F1 (a call is found when any named
    detection above its threshold stands for it) and macro F1 over species; this repeats until nothing is gained, as in
    Dierckx et al. (IDA 2022). It starts from each label's own best F1. Where several neighbouring thresholds do equally
    well, the middle one is taken. While fitting, a detection stands for its nearest call: then each step is counting.

    Parameters
    ----------
    detections, annotations, recordings
        Validation data, as for :func:`ecotf.evaluation.evaluate`.
    labels
        The species to fit; their scores must lie from 0 to 1.
    ignored_labels
        Labels that are no calls.

    Returns
    -------
    FittedThresholds
        ``unfitted`` names labels without a validation call that any candidate hits; they get the median of the fitted
        species, or 0.5. ``call`` is among them when there is nothing to fit it on. ``notes`` say which thresholds rest
        on few calls.

    Raises
    ------
    DataError
        Tables that cannot be judged, or scores of species that are not from 0 to 1.
    """
    check_labels(labels, ignored_labels)
    detections, calls = scored_tables(detections, annotations, recordings, ignored_labels)
    n_recordings = len({str(recording) for recording in recordings})
    named = detections[detections["label"].isin(list(labels))].reset_index(drop=True)
    check_scores(named)

    tracks = label_tracks(named, calls, labels, n_recordings, tolerance_s)
    fitted = [label for label in labels if tracks[label].hits.any()]
    found: dict[str, float] = {}
    if fitted:
        chosen = _ascend(named, calls, {label: tracks[label] for label in fitted}, tolerance_s)
        found = dict(zip(fitted, GRID[chosen].tolist(), strict=True))
    thresholds, unfitted = with_guesses(found, labels)

    detector = match_track(detections[detections["label"] == CALL_LABEL], calls, n_recordings, tolerance_s)
    call_threshold = best_f1_threshold(detector.scores, detector.hits, detector.n_calls)
    if np.isnan(call_threshold):
        call_threshold = WITHOUT_DATA
        unfitted.append(CALL_LABEL)
    notes = notes_of_few(found, tracks)
    return FittedThresholds({**thresholds, CALL_LABEL: call_threshold}, unfitted, notes)


def with_guesses(found: Mapping[str, float], labels: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Return a threshold for every label, and the labels without one of their own: the median of the others, or 0.5."""
    guess = float(np.median(list(found.values()))) if found else WITHOUT_DATA
    return {label: found.get(label, guess) for label in labels}, [label for label in labels if label not in found]


def check_scores(named: pd.DataFrame) -> None:
    """Refuse scores of species that are not from 0 to 1; raises `DataError`."""
    scores = named["score"].to_numpy(np.float64)
    if scores.size and (scores.min() < 0 or scores.max() > 1):
        low, high = scores.min(), scores.max()
        raise DataError(f"species scores must be from 0 to 1 to fit thresholds, found {low:g} to {high:g}")


def notes_of_few(found: Mapping[str, float], tracks: Mapping[str, Track]) -> list[str]:
    """Say which thresholds rest on few calls."""
    return few_of([(label, at, tracks[label].n_calls, tracks[label].n_recordings) for label, at in found.items()])


def few_of(rows: Iterable[tuple[str, float, int, int]], what: str = "call") -> list[str]:
    """Say which thresholds rest on few validation calls: label, threshold, calls and recordings that have them."""
    few = [
        f"{label} {threshold:.2f} ({counted(n, what)}, {counted(n_recordings, 'recording')})"
        for label, threshold, n, n_recordings in rows
        if n < _FEW_CALLS or n_recordings == 1
    ]
    if not few:
        return []
    more = f", and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    told = ", ".join(few[:_NAMED])
    return [f"thresholds of few {what}s, or of one recording: {told}{more}; listen before you count"]


def _ascend(named: pd.DataFrame, calls: pd.DataFrame, tracks: dict[str, Track], tolerance_s: float) -> Integers:
    """Coordinate ascent; returns a position in the grid per label."""
    named = named[named["label"].isin(list(tracks))].reset_index(drop=True)
    own_f1 = np.stack([_f1_curve(track) for track in tracks.values()])
    event_levels, call_levels = _levels(named, calls, list(tracks), tolerance_s)
    chosen = np.array([middle_of_best(curve) for curve in own_f1])
    n_labels = np.arange(len(chosen))
    kept = event_levels >= chosen[:, None]
    covered = call_levels >= chosen[:, None]
    best = -np.inf
    while True:
        before = best
        for label in n_labels:
            others = n_labels != label
            event_free, call_free = ~kept[others].any(axis=0), ~covered[others].any(axis=0)
            n_detections = (~event_free).sum() + _kept_at_grid(event_levels[label, event_free])
            n_found = (~call_free).sum() + _kept_at_grid(call_levels[label, call_free])
            detection_f1 = precision_recall_f1(n_found, n_detections, len(calls))[2]
            macro_f1 = (own_f1[n_labels[others], chosen[others]].sum() + own_f1[label]) / len(chosen)
            objective = (detection_f1 + macro_f1) / 2
            if objective.max() > objective[chosen[label]] + 1e-12:
                chosen[label] = middle_of_best(objective)
            best = float(objective[chosen[label]])
            kept[label] = event_levels[label] >= chosen[label]
            covered[label] = call_levels[label] >= chosen[label]
        if best <= before + 1e-12:
            return chosen


def _levels(
    named: pd.DataFrame, calls: pd.DataFrame, labels: list[str], tolerance_s: float
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """The highest grid position that keeps each event, and that finds each call, per label: [L, E] and [L, C].

    An event is one place in time: several names given to the same span are one detection.
    """
    label_index = label_positions(named, labels)
    level = grid_position(named["score"].to_numpy(np.float64))
    event = named.groupby(["recording_index", "start_s", "end_s"], sort=False).ngroup().to_numpy()
    first = np.unique(event, return_index=True)[1]
    call = nearest_calls(named.take(first), calls, tolerance_s)[event]
    event_levels = np.full((len(labels), len(first)), _NOTHING, dtype=np.int16)
    call_levels = np.full((len(labels), len(calls)), _NOTHING, dtype=np.int16)
    np.maximum.at(event_levels, (label_index, event), level)
    near = call >= 0
    np.maximum.at(call_levels, (label_index[near], call[near]), level[near])
    return event_levels, call_levels


def _f1_curve(track: Track) -> Floats:
    """F1 of one label at every threshold of the grid."""
    level = grid_position(track.scores)
    return precision_recall_f1(_kept_at_grid(level[track.hits]), _kept_at_grid(level), track.n_calls)[2]


def grid_position(scores: Floats) -> npt.NDArray[np.int16]:
    """The highest position in the grid whose threshold the score still reaches."""
    return (np.searchsorted(GRID, scores, side="right") - 1).astype(np.int16)


def _kept_at_grid(levels: npt.NDArray[np.int16]) -> Integers:
    """How many of the candidates each threshold of the grid keeps, shape [101]."""
    return np.bincount(levels[levels >= 0], minlength=len(GRID))[::-1].cumsum()[::-1]


def middle_of_best(values: Floats) -> int:
    """The middle of the first run of thresholds of the grid that all reach the maximum."""
    best = values >= values.max() - 1e-12
    first = int(np.argmax(best))
    length = int(np.argmin(np.append(best[first:], False)))
    return first + (length - 1) // 2
