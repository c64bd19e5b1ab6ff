"""Naming species: per-class and macro scores, the confusion matrix, and which species fills each recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ecotf.errors import DataError
from ecotf.evaluation.hit_rules import Rule
from ecotf.evaluation.matching import Booleans, Integers, Track, match_groups, match_track

if TYPE_CHECKING:
    import pandas as pd

NO_CALL, MISSED, OTHER = "no call", "missed", "other species"


class MajorityFiles(NamedTuple):
    """Whether each recording was judged by its majority species, and rightly; shape [R] each."""

    judged: Booleans
    right: Booleans
    n_tied: int
    n_without_calls: int


def label_tracks(
    detections: pd.DataFrame, calls: pd.DataFrame, labels: Sequence[str], n_recordings: int, rule: Rule
) -> dict[str, Track]:
    """Match each label on its own: a detection named X hits only a call of X."""
    named, true = detections["label"].to_numpy(), calls["label"].to_numpy()
    return {
        label: match_track(detections[named == label], calls[true == label], n_recordings, rule) for label in labels
    }


def count_per_recording(
    tracks: Mapping[str, Track], thresholds: Mapping[str, float]
) -> tuple[Integers, Integers, Integers]:
    """Hits, detections and calls of each label in each recording at the thresholds, shape [R, L] each."""
    n_hits, n_detections, n_calls = [], [], []
    for label, track in tracks.items():
        n_recordings = len(track.calls_per_recording)
        kept = track.scores >= thresholds[label]
        n_detections.append(np.bincount(track.recording_index[kept], minlength=n_recordings))
        n_hits.append(np.bincount(track.recording_index[kept & track.hits], minlength=n_recordings))
        n_calls.append(track.calls_per_recording)
    return np.stack(n_hits, axis=1), np.stack(n_detections, axis=1), np.stack(n_calls, axis=1)


def above_thresholds(detections: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.DataFrame:
    """The detections that score at least the threshold of their label; a label without a threshold is refused."""
    limits = detections["label"].map(dict(thresholds))
    if limits.isna().any():
        label = detections["label"][limits.isna()].iloc[0]
        raise DataError(
            f"no threshold for label {label!r}; there are thresholds for {', '.join(map(repr, thresholds))}"
        )
    return detections[(detections["score"] >= limits).to_numpy(bool)].reset_index(drop=True)


def label_positions(table: pd.DataFrame, labels: Sequence[str]) -> Integers:
    """Return the position in ``labels`` of each row's label, -1 if it is not there."""
    positions = {label: position for position, label in enumerate(labels)}
    return table["label"].map(positions).fillna(-1).to_numpy(np.int64)


def confusion_matrix(
    kept: pd.DataFrame, calls: pd.DataFrame, labels: Sequence[str], tolerance_s: float
) -> dict[str, Any]:
    """Return the name given to each call, and the true species behind each name.

    A call that a detection of its own species hits is on the diagonal. The remaining calls are matched to the remaining
    detections whatever their names; what is left over is ``missed`` or ``no call`` (noise, or a second name for a call
    that was already named). So rows sum to the calls, columns to the detections, and the diagonal agrees with the
    per-class scores.

    Parameters
    ----------
    kept
        Named detections above their thresholds, with ``recording_index``.
    calls
        Calls with ``recording_index``; labels that are not in ``labels`` are gathered in the row ``other species``.

    Returns
    -------
    dict
        ``rows`` (truth), ``columns`` (predicted) and ``counts``, a list of rows.
    """
    named = label_positions(kept, labels)
    true = label_positions(calls, labels)
    n_labels = len(labels)
    true = np.where(true < 0, n_labels, true)
    counts = np.zeros((n_labels + 2, n_labels + 1), dtype=np.int64)
    kept_recordings, call_recordings = kept["recording_index"].to_numpy(), calls["recording_index"].to_numpy()

    # First by recording and label together, then by recording alone among what is left.
    own = match_groups(
        kept, kept_recordings * (n_labels + 1) + named, calls, call_recordings * (n_labels + 1) + true, tolerance_s
    )
    np.add.at(counts, (named[own >= 0], named[own >= 0]), 1)
    free_detections, free_calls = own < 0, np.ones(len(calls), dtype=bool)
    free_calls[own[own >= 0]] = False
    named, true = named[free_detections], true[free_calls]
    mixed = match_groups(
        kept[free_detections],
        kept_recordings[free_detections],
        calls[free_calls],
        call_recordings[free_calls],
        tolerance_s,
    )
    np.add.at(counts, (true[mixed[mixed >= 0]], named[mixed >= 0]), 1)
    np.add.at(counts[n_labels + 1], named[mixed < 0], 1)
    np.add.at(counts[:, n_labels], np.delete(true, mixed[mixed >= 0]), 1)

    rows = [*labels, OTHER, NO_CALL]
    if not counts[n_labels].any():
        counts, rows = np.delete(counts, n_labels, axis=0), [*labels, NO_CALL]
    return {"rows": rows, "columns": [*labels, MISSED], "counts": counts.tolist()}


def majority_files(kept: pd.DataFrame, calls: pd.DataFrame, labels: Sequence[str], n_recordings: int) -> MajorityFiles:
    """Check whether the species detected most often in a recording is the one calling most often there.

    Recordings without calls of ``labels``, and those where several species call equally often, are not judged. A
    recording without detections is wrong; a tie between detected species goes to the higher sum of scores.
    """
    true = np.zeros((n_recordings, len(labels)))
    position = label_positions(calls, labels)
    known = position >= 0
    np.add.at(true, (calls["recording_index"].to_numpy()[known], position[known]), 1)
    named, total = np.zeros_like(true), np.zeros_like(true)
    cell = (kept["recording_index"].to_numpy(), label_positions(kept, labels))
    np.add.at(named, cell, 1)
    np.add.at(total, cell, kept["score"].to_numpy(np.float64))

    without = true.sum(axis=1) == 0
    tied = ~without & ((true == true.max(axis=1, keepdims=True, initial=0)).sum(axis=1) > 1)
    judged = ~without & ~tied
    right = np.zeros(n_recordings, dtype=bool)
    if labels:
        most = named == named.max(axis=1, keepdims=True)
        predicted = np.argmax(np.where(most, total, -np.inf), axis=1)
        right = judged & (named.sum(axis=1) > 0) & (predicted == true.argmax(axis=1))
    return MajorityFiles(judged, right, int(tied.sum()), int(without.sum()))
