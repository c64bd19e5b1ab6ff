"""Which detection hits which call: the one rule that every figure of this room stands on.

A detection hits a call when its middle lies in the call, widened by a tolerance on both sides. Where the edges count,
it hits when both overlap enough, or when both edges are near (`ecotf.evaluation.hit_rules`). Detections choose in
order of score, each the nearest call that is still free, so a second detection of one call is a false alarm.
Because the best choose first, the hits above any threshold are the same whether the detections below it are there or
not: matching once serves every threshold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ecotf._kernels.events import match_intervals
from ecotf.datasets.labels import CALL_LABEL
from ecotf.errors import DataError
from ecotf.evaluation.hit_rules import Collars, Overlap, Rule

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_TOLERANCE_S = 0.010

_MEANING = {CALL_LABEL: "any call", "": "a recording without annotations"}
_DETECTION_COLUMNS = ("recording", "start_s", "end_s", "label", "score")
_ANNOTATION_COLUMNS = ("recording", "start_s", "end_s", "label")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]
Booleans = npt.NDArray[np.bool_]


class Track(NamedTuple):
    """The candidates of one label, matched: what average precision, thresholds and intervals are computed from."""

    scores: Floats  # [D]
    hits: Booleans  # [D]
    recording_index: Integers  # [D], 0 to R - 1
    calls_per_recording: Integers  # [R]

    @property
    def n_calls(self) -> int:
        """All calls of this label, found or missed."""
        return int(self.calls_per_recording.sum())

    @property
    def n_recordings(self) -> int:
        """Recordings with calls of this label."""
        return int((self.calls_per_recording > 0).sum())


def match_detections(
    detections: pd.DataFrame,
    annotations: pd.DataFrame,
    rule: Rule = DEFAULT_TOLERANCE_S,
    *,
    by_label: bool = False,
    ignored_labels: Iterable[str] = (),
) -> Integers:
    """Match each detection to at most one call of its recording, and each call to at most one detection.

    Parameters
    ----------
    detections
        Columns recording, start_s, end_s, label, score; seconds.
    annotations
        Columns recording, start_s, end_s, label. Rows whose label is empty or in ``ignored_labels`` are not calls.
    rule
        How a detection hits a call. A number of seconds: its middle lies in the call, widened by them on both sides.
    by_label
        Only a call of the detection's own label can be hit.

    Returns
    -------
    ndarray of int64, shape [D]
        The position (``iloc``) in ``annotations`` of the call that was hit, or -1 for a false alarm.

    Raises
    ------
    DataError
        A column is missing, a score is NaN, or a time is NaN or reversed.
    """

    import pandas as pd

    check_detections(detections)
    positions = np.flatnonzero(is_call(annotations, ignored_labels))
    calls = annotations.iloc[positions]
    check_calls(calls)
    columns = ["recording", "label"] if by_label else ["recording"]
    keys = pd.concat([detections[columns].astype(str), calls[columns].astype(str)], ignore_index=True)
    groups = keys.groupby(columns, sort=False).ngroup().to_numpy()
    hits = match_groups(detections, groups[: len(detections)], calls, groups[len(detections) :], rule)
    return np.where(hits >= 0, positions[hits] if positions.size else -1, -1).astype(np.int64)


def match_groups(
    detections: pd.DataFrame,
    detection_groups: Integers,
    calls: pd.DataFrame,
    call_groups: Integers,
    rule: Rule,
) -> Integers:
    """Match inside groups (recordings, or recordings by label); returns the position in ``calls`` or -1, shape [D]."""
    hits = np.full(len(detections), -1, dtype=np.int64)
    if not len(detections) or not len(calls):
        return hits
    scores, begins, stops = (_column(detections, name) for name in ("score", "start_s", "end_s"))
    starts, ends = _column(calls, "start_s"), _column(calls, "end_s")
    call_order = np.argsort(call_groups, kind="stable")
    detection_order = np.argsort(detection_groups, kind="stable")
    sorted_calls, sorted_detections = call_groups[call_order], detection_groups[detection_order]
    for group in np.intersect1d(sorted_calls, sorted_detections):
        theirs = call_order[slice(*np.searchsorted(sorted_calls, [group, group + 1]))]
        mine = detection_order[slice(*np.searchsorted(sorted_detections, [group, group + 1]))]
        if isinstance(rule, Overlap | Collars):
            distances = rule.distances(begins[mine], stops[mine], starts[theirs], ends[theirs])
            found = _nearest_first(scores[mine], distances)
        else:
            middles = (begins[mine] + stops[mine]) / 2
            found = np.asarray(match_intervals(middles, scores[mine], starts[theirs], ends[theirs], rule))
        hits[mine] = np.where(found >= 0, theirs[found], -1)
    return hits


def scored_tables(
    detections: pd.DataFrame, annotations: pd.DataFrame, recordings: Sequence[str], ignored_labels: Iterable[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check both tables and return (detections, calls) of the scored recordings, with a column ``recording_index``.

    Raises
    ------
    DataError
        Besides what :func:`match_detections` refuses: no recordings, a scored recording that the annotations do not
        name (its detections could not be judged), or detections in a recording that is not among the scored ones.
    """

    import pandas as pd

    check_detections(detections)
    calls_mask = is_call(annotations, ignored_labels)
    index = pd.Index(dict.fromkeys(str(recording) for recording in recordings))
    if index.empty:
        raise DataError("no recording to evaluate: the list of scored recordings is empty")
    unknown = index.difference(pd.Index(annotations["recording"].astype(str).unique()))
    if len(unknown):
        raise DataError(
            f"{len(unknown)} scored recording(s) are not in the annotations, first {unknown[0]!r}; "
            "a recording without calls needs one row with an empty label"
        )
    found = index.get_indexer(pd.Index(detections["recording"].astype(str)))
    if (found < 0).any():
        name = detections["recording"].iloc[int(np.argmax(found < 0))]
        raise DataError(f"detections in {name!r}, which is not in the list of scored recordings")
    calls = annotations[calls_mask]
    calls = calls.assign(recording_index=index.get_indexer(pd.Index(calls["recording"].astype(str))))
    calls = calls[calls["recording_index"] >= 0].reset_index(drop=True)
    check_calls(calls)
    return detections.assign(recording_index=found).reset_index(drop=True), calls


def match_track(detections: pd.DataFrame, calls: pd.DataFrame, n_recordings: int, rule: Rule) -> Track:
    """Match the tables of :func:`scored_tables` (or a part of them: one label), whatever their labels say."""
    detection_index = detections["recording_index"].to_numpy(np.int64)
    call_index = calls["recording_index"].to_numpy(np.int64)
    hits = match_groups(detections, detection_index, calls, call_index, rule)
    per_recording = np.bincount(call_index, minlength=n_recordings)
    return Track(_column(detections, "score"), hits >= 0, detection_index, per_recording.astype(np.int64))


def _nearest_first(scores: Floats, distances: Floats) -> Integers:
    """Let detections choose in order of score, each its nearest call that is free: which, or -1, ``[D]``."""
    found, free = np.full(len(scores), -1, np.int64), np.array(distances)
    for detection in np.argsort(-scores, kind="stable"):
        nearest = int(free[detection].argmin())
        if np.isfinite(free[detection, nearest]):
            found[detection], free[:, nearest] = nearest, np.inf
    return found


def nearest_calls(detections: pd.DataFrame, calls: pd.DataFrame, tolerance_s: float) -> Integers:
    """For each detection the nearest call whose widened span holds its middle, taken or not; -1 if none. Shape [D]."""
    nearest = np.full(len(detections), -1, dtype=np.int64)
    distance = np.full(len(detections), np.inf)
    centres = _middles(detections)
    order = np.lexsort((centres, detections["recording_index"].to_numpy()))
    groups, sorted_centres = detections["recording_index"].to_numpy()[order], centres[order]
    starts, ends = _column(calls, "start_s"), _column(calls, "end_s")
    for call, recording in enumerate(calls["recording_index"].to_numpy()):
        first, stop = np.searchsorted(groups, [recording, recording + 1])
        low, high = starts[call] - tolerance_s, ends[call] + tolerance_s
        begin = first + np.searchsorted(sorted_centres[first:stop], low, side="left")
        end = first + np.searchsorted(sorted_centres[first:stop], high, side="right")
        inside = order[begin:end]
        away = np.abs(centres[inside] - (starts[call] + ends[call]) / 2)
        closer = away < distance[inside]
        nearest[inside[closer]], distance[inside[closer]] = call, away[closer]
    return nearest


def is_call(annotations: pd.DataFrame, ignored_labels: Iterable[str] = ()) -> Booleans:
    """Which annotation rows are calls: a label that is neither empty nor in ``ignored_labels``. Shape [A]."""
    _need_columns(annotations, _ANNOTATION_COLUMNS, "annotations")
    labels = annotations["label"].fillna("").astype(str)
    return ~labels.isin(["", *ignored_labels]).to_numpy(bool)


def check_labels(labels: Sequence[str], ignored_labels: Collection[str]) -> None:
    """Refuse species named twice, species that are no calls, and a species called ``call``."""
    for position, label in enumerate(labels):
        if label in labels[:position]:
            raise DataError(f"label {label!r} is listed twice")
        if label in (*ignored_labels, CALL_LABEL, ""):
            raise DataError(f"{label!r} cannot be a species: it stands for {_MEANING.get(label, 'what is not a call')}")


def check_detections(detections: pd.DataFrame) -> None:
    """Refuse a detections table that cannot be judged; the message quotes the first bad row."""
    _need_columns(detections, _DETECTION_COLUMNS, "detections")
    scores = _column(detections, "score")
    bad = ~np.isfinite(scores)
    if bad.any():
        row = int(np.argmax(bad))
        name = detections["recording"].iloc[row]
        raise DataError(f"detections row {row} ({name!r}): score is {scores[row]}; a score must be a finite number")
    _check_times(detections, "detections")


def check_calls(calls: pd.DataFrame) -> None:
    """Refuse calls without a start and an end in the right order."""
    _check_times(calls, "annotations")


def _check_times(table: pd.DataFrame, name: str) -> None:
    start, end = _column(table, "start_s"), _column(table, "end_s")
    bad = ~(np.isfinite(start) & np.isfinite(end) & (start <= end))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{name}: {table['label'].iloc[row]!r} in {table['recording'].iloc[row]!r} runs from {start[row]} s to "
            f"{end[row]} s; both must be numbers and the start must not be after the end"
        )


def _need_columns(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(f"{name} table: column {missing[0]!r} is missing; it needs {', '.join(columns)}")


def _column(table: pd.DataFrame, name: str) -> Floats:
    try:
        return np.ascontiguousarray(table[name].to_numpy(np.float64))
    except (TypeError, ValueError):
        raise DataError(f"column {name!r} holds something that is not a number") from None


def _middles(table: pd.DataFrame) -> Floats:
    return (_column(table, "start_s") + _column(table, "end_s")) / 2
