"""All figures of one evaluation, as a plain dict that goes into ``metrics.json``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecotf.errors import DataError
from ecotf.evaluation.average_precision import (
    average_precision,
    precision_recall,
    precision_recall_f1,
    recall_at_precision,
    scores_at_threshold,
)
from ecotf.evaluation.bootstrap import interval, mean_defined, resample_weights, resampled_detection, resampled_f1
from ecotf.evaluation.calibration import calibration
from ecotf.evaluation.classification import (
    above_thresholds,
    confusion_matrix,
    count_per_recording,
    label_tracks,
    majority_files,
)
from ecotf.evaluation.matching import (
    CALL_LABEL,
    DEFAULT_TOLERANCE_S,
    Floats,
    Integers,
    Track,
    check_labels,
    match_track,
    scored_tables,
)
from ecotf.plain import plain

if TYPE_CHECKING:
    import pandas as pd

Metrics = dict[str, Any]

_CURVE_POINTS = 200


def evaluate(
    detections: pd.DataFrame,
    manifest_table: pd.DataFrame,
    recordings: Sequence[str],
    *,
    labels: Sequence[str],
    ignored_labels: Collection[str],
    thresholds: Mapping[str, float],
    tolerance_s: float = DEFAULT_TOLERANCE_S,
    seed: int = 0,
    n_bootstrap: int = 1000,
    resample_by: Literal["recording", "group"] = "recording",
) -> Metrics:
    """Judge detections against annotations.

    Parameters
    ----------
    detections
        Columns recording, start_s, end_s, label, score: candidates down to a low score, not only those above a
        threshold. Rows labelled ``call`` judge the detection of calls, rows labelled with a species its naming.
    manifest_table
        Columns recording, start_s, end_s, label (and ``group`` for ``resample_by="group"``); rows of recordings that
        were not scored are left aside.
    recordings
        Everything that was scored, with or without calls or detections.
    labels
        The species that can be named; empty for a detector alone.
    ignored_labels
        Labels that are annotated but are no calls (insects, noise, bird): a detection there is a false alarm.
    thresholds
        The threshold of ``call`` and of each of ``labels``; a detection is kept at its threshold and above.
    tolerance_s
        See :func:`ecotf.evaluation.match_detections`.
    seed, n_bootstrap, resample_by
        The bootstrap: whole recordings, or whole groups of them, are drawn again ``n_bootstrap`` times.

    Returns
    -------
    dict
        ``detection``, ``species``, ``confusion``, ``file_majority_accuracy``, ``calibration`` and ``settings``, made
        of plain numbers and lists. ``x_interval`` is the 95 % interval of ``x`` as [low, high]. None means that there
        was nothing to compute it from. ``species``, ``confusion`` and ``file_majority_accuracy`` are None without
        ``labels``, ``calibration`` without scores from 0 to 1.

    Raises
    ------
    DataError
        Tables that cannot be judged (see :func:`ecotf.evaluation.scored_tables`), a label without a threshold, or
        detections of a label that is not among ``labels``.
    """
    check_labels(labels, ignored_labels)
    recordings = list(dict.fromkeys(str(recording) for recording in recordings))
    for label in (CALL_LABEL, *labels):
        if label not in thresholds:
            raise DataError(f"no threshold for label {label!r}; there are thresholds for {sorted(thresholds)}")
    detections, calls = scored_tables(detections, manifest_table, recordings, ignored_labels)
    unknown = set(detections["label"]) - {CALL_LABEL, *labels, *ignored_labels}
    if unknown:
        raise DataError(f"detections are labelled {min(unknown)!r}, which is not among the labels {sorted(labels)}")
    groups = _groups(manifest_table, recordings) if resample_by == "group" else None
    weights = resample_weights(len(recordings), n_bootstrap, seed, groups)

    detector = match_track(detections[detections["label"] == CALL_LABEL], calls, len(recordings), tolerance_s)
    named = detections[detections["label"].isin(list(labels))]
    kept = above_thresholds(named, thresholds)
    metrics = {
        "detection": _detection(detector, thresholds[CALL_LABEL], weights),
        "species": species_figures(
            label_tracks(named, calls, labels, len(recordings), tolerance_s), thresholds, weights
        ),
        "confusion": confusion_matrix(kept, calls, labels, tolerance_s) if labels else None,
        "file_majority_accuracy": _majority(kept, calls, labels, weights) if labels else None,
        "calibration": calibration(detector.scores, detector.hits),
        "settings": {
            "tolerance_s": tolerance_s,
            "n_recordings": len(recordings),
            "n_recordings_with_calls": int(np.count_nonzero(detector.calls_per_recording)),
            "n_bootstrap": n_bootstrap,
            "seed": seed,
            "resampled_by": resample_by,
            "n_resampled": len(recordings) if groups is None else len(set(groups)),
            "ignored_labels": sorted(ignored_labels),
        },
    }
    return plain(metrics)


def _detection(track: Track, threshold: float, weights: Integers) -> dict[str, Any]:
    scores, hits, n_calls = track.scores, track.hits, track.n_calls
    point = scores_at_threshold(scores, hits, n_calls, threshold)
    figures = {
        "ap": average_precision(scores, hits, n_calls),
        "recall_at_95_precision": recall_at_precision(scores, hits, n_calls, 0.95),
        **point._asdict(),
    }
    resampled = resampled_detection(track, threshold, weights)
    curve = precision_recall(scores, hits, n_calls)
    points = np.unique(np.linspace(0, curve.recall.size - 1, _CURVE_POINTS).astype(int)) if curve.recall.size else []
    return {
        **_with_intervals(figures, resampled, weights),
        "threshold": threshold,
        "n_calls": n_calls,
        "n_candidates": scores.size,
        "n_detections": np.count_nonzero(scores >= threshold),
        "n_hits": np.count_nonzero(hits & (scores >= threshold)),
        "recall_of_all_candidates": np.count_nonzero(hits) / n_calls if n_calls else np.nan,
        "curve": {name: values[points].tolist() for name, values in curve._asdict().items()} if n_calls else None,
    }


def species_figures(
    tracks: dict[str, Track], thresholds: Mapping[str, float], weights: Integers
) -> dict[str, Any] | None:
    """Compute precision, recall, F1 and AP of each label and their means over labels, from matched candidates."""
    if not tracks:
        return None
    n_hits, n_detections, n_calls = count_per_recording(tracks, thresholds)
    precision, recall, f1 = precision_recall_f1(n_hits.sum(axis=0), n_detections.sum(axis=0), n_calls.sum(axis=0))
    support, n_recordings = n_calls.sum(axis=0), np.count_nonzero(n_calls, axis=0)
    resampled = resampled_f1(n_hits, n_detections, n_calls, weights)
    per_label = {
        label: {
            "precision": precision[i],
            "recall": recall[i],
            "f1": f1[i],
            # The calls of a single recording are drawn all or none: that says nothing about other recordings.
            "f1_interval": interval(resampled[:, i], weights) if n_recordings[i] >= 2 else [None, None],
            "ap": average_precision(track.scores, track.hits, track.n_calls),
            "threshold": thresholds[label],
            "support": support[i],
            "n_recordings": n_recordings[i],
            "n_detections": n_detections[:, i].sum(),
        }
        for i, (label, track) in enumerate(tracks.items())
    }
    present, repeated = support > 0, n_recordings >= 2
    figures = {
        "macro_precision": mean_defined(np.where(n_detections.sum(axis=0) > 0, precision, 0.0)[present]),
        "macro_recall": mean_defined(recall[present]),
        "macro_f1": mean_defined(f1[present]),
        "macro_f1_two_recordings": mean_defined(f1[repeated]),
    }
    macros = {"macro_f1": mean_defined(resampled), "macro_f1_two_recordings": mean_defined(resampled[:, repeated])}
    return {
        **_with_intervals(figures, macros, weights),
        "n_labels": np.count_nonzero(present),
        "n_labels_two_recordings": np.count_nonzero(repeated),
        "per_label": per_label,
    }


def _majority(kept: pd.DataFrame, calls: pd.DataFrame, labels: Sequence[str], weights: Integers) -> dict[str, Any]:
    files = majority_files(kept, calls, labels, weights.shape[1])
    n_judged, n_right = np.count_nonzero(files.judged), np.count_nonzero(files.right)
    drawn = weights @ files.judged
    resampled = np.where(drawn > 0, (weights @ files.right) / np.maximum(drawn, 1), np.nan)
    return {
        "accuracy": n_right / n_judged if n_judged else np.nan,
        "accuracy_interval": interval(resampled, weights),
        "n_judged": n_judged,
        "n_right": n_right,
        "n_excluded_ties": files.n_tied,
        "n_without_calls": files.n_without_calls,
    }


def _with_intervals(figures: Mapping[str, Any], resampled: Mapping[str, Floats], weights: Integers) -> dict[str, Any]:
    """Each figure followed by its interval, where it was resampled."""
    result: dict[str, Any] = {}
    for name, value in figures.items():
        result[name] = value
        if name in resampled:
            result[f"{name}_interval"] = interval(resampled[name], weights)
    return result


def _groups(manifest_table: pd.DataFrame, recordings: list[str]) -> list[str]:
    if "group" not in manifest_table.columns:
        raise DataError("resample_by='group' needs a column 'group' in the manifest; without one use 'recording'")
    return manifest_table.drop_duplicates("recording").set_index("recording")["group"].loc[recordings].to_list()
