"""Where events begin and end, judged: by overlap, by collars, by segments, by PSDS, and the false alarms of an hour.

The one evaluator of events of both tasks. A detection is kept at the threshold of its label; PSDS sees all thresholds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.evaluation.bootstrap import interval, mean_defined, resample_weights
from ecotf.evaluation.classification import above_thresholds, label_tracks
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.evaluation.hit_rules import Collars, Overlap, Rule
from ecotf.evaluation.matching import CALL_LABEL, Floats, Integers, scored_tables
from ecotf.evaluation.metrics import species_figures
from ecotf.evaluation.psds import (
    DECIMALS,
    Steps,
    box_runs,
    class_curve,
    count_steps,
    frame_runs,
    joined_steps,
    score_of_curves,
)
from ecotf.evaluation.rates import hourly_rate
from ecotf.plain import plain

if TYPE_CHECKING:
    import pandas as pd

IOUS = (0.3, 0.5)
_SEGMENT_S = 1.0
_MOST_PSDS_RESAMPLES = 200  # each sorts every operating point anew


@dataclass(frozen=True)
class Listened:
    """What is known of a recording besides its annotations.

    Attributes
    ----------
    duration_s
        How long it is.
    is_complete
        Whether every event in it is annotated: only there is it known what is a false alarm.
    edges_s, scores
        Where its frames begin and the last one ends ``[frames + 1]``, and their scores ``[frames, labels]``; None where
        there are no frames.
    known_s
        In how much of it a detection can be right or wrong; None: in all. False alarms of PSDS are in an hour of it.
    """

    duration_s: float
    is_complete: bool = True
    edges_s: Floats | None = None
    scores: Floats | None = None
    known_s: float | None = None

    @property
    def judged_s(self) -> float:
        """Return the seconds in which a detection can be right or wrong."""
        return self.duration_s if self.known_s is None else self.known_s


def judge_edges(
    detections: pd.DataFrame,
    manifest_table: pd.DataFrame,
    listened: Mapping[str, Listened],
    *,
    labels: Sequence[str],
    ignored_labels: Collection[str],
    thresholds: Mapping[str, float],
    config: EvaluationConfig,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge where detections begin and end.

    Parameters
    ----------
    detections, manifest_table, ignored_labels, thresholds
        As for :func:`ecotf.evaluation.evaluate`.
    listened
        Every recording that was scored.
    labels
        The classes; of none, every call is one class, ``call``.

    Returns
    -------
    dict
        ``iou_0.3``, ``iou_0.5`` and ``collars``, each as ``species`` of `evaluate`; ``psds`` of the detections and
        ``psds_frames`` of frames above a threshold; ``segments`` with the error rate; ``false_alarms`` an hour in
        recordings without the class; ``settings``. ``x_interval`` is the 95 % interval of ``x``.

    Raises
    ------
    DataError
        Tables that cannot be judged.
    """
    recordings = list(listened)
    found, calls = scored_tables(detections, manifest_table, recordings, ignored_labels)
    if not labels:
        labels, calls = (CALL_LABEL,), calls.assign(label=CALL_LABEL)
    found, calls = (table[table["label"].isin(list(labels))].reset_index(drop=True) for table in (found, calls))
    weights = resample_weights(len(recordings), config.bootstrap, seed)
    collars = Collars(config.collar_s, config.collar_s, config.collar_share)
    rules: dict[str, Rule] = {**{f"iou_{least}": Overlap(least) for least in IOUS}, "collars": collars}
    kept, sounds = above_thresholds(found, thresholds), list(listened.values())
    n_points = int((calls["end_s"] <= calls["start_s"]).sum())
    metrics: dict[str, Any] = {
        name: species_figures(label_tracks(found, calls, labels, len(recordings), rule), thresholds, weights)
        for name, rule in rules.items()
    }
    truth = _boxes(calls, labels, len(recordings))
    boxes, scores = _boxes(found, labels, len(recordings)), _boxes(found, labels, len(recordings), "score")
    events = [[one[one[:, 1] > one[:, 0]] for one in row] for row in truth]  # a point has no share that could be found
    metrics["psds"] = _psds(
        [[box_runs(scores[r][k][:, 0], boxes[r][k]) for k in range(len(labels))] for r in range(len(recordings))],
        events, sounds, labels, config, weights,
    )  # fmt: skip
    metrics["psds_frames"] = None
    if all(one.scores is not None for one in sounds):
        metrics["psds_frames"] = _psds(
            [[frame_runs(one.scores[:, k], one.edges_s) for k in range(len(labels))] for one in sounds],  # type: ignore[index,arg-type]
            events, sounds, labels, config, weights,
        )  # fmt: skip
    metrics["segments"] = _segments(_boxes(kept, labels, len(recordings)), truth, sounds, weights)
    metrics["false_alarms"] = _false_alarms(kept, calls, labels, sounds)
    metrics["settings"] = {
        "collar_s": config.collar_s,
        "collar_share": config.collar_share,
        "segment_s": _SEGMENT_S,
        "psds": config.psds.model_dump(),
        "hours": sum(one.judged_s for one in sounds) / 3600,
        "n_recordings": len(recordings),
        "n_complete": sum(one.is_complete for one in sounds),
        "n_points": n_points,
    }
    return plain(metrics)


def _boxes(table: pd.DataFrame, labels: Sequence[str], n: int, *columns: str) -> list[list[Floats]]:
    """Start and end, or other columns, of the rows of each recording and label: ``[n][labels]`` of ``[rows, 2]``."""
    values = table[list(columns or ("start_s", "end_s"))].to_numpy(float)
    index, named = table["recording_index"].to_numpy(), table["label"].to_numpy()
    own = [np.flatnonzero(named == label) for label in labels]
    return [[values[rows[index[rows] == recording]] for rows in own] for recording in range(n)]


def _psds(
    runs: Sequence[Sequence[Any]],
    events: Sequence[Sequence[Floats]],
    sounds: Sequence[Listened],
    labels: Sequence[str],
    config: EvaluationConfig,
    weights: Integers,
) -> dict[str, Any]:
    """PSDS over the classes that have events, with the areas of their own curves."""
    n_events = np.array([[len(one) for one in row] for row in events]).reshape(len(events), len(labels))
    seconds = np.array([[float((one[:, 1] - one[:, 0]).sum()) for one in row] for row in events])
    seconds, durations = seconds.reshape(n_events.shape), np.array([one.judged_s for one in sounds])
    present = np.flatnonzero(n_events.sum(axis=0))
    steps: dict[int, Steps] = {}
    for k in present:
        others = [int(j) for j in present if j != k]
        parts = [
            count_steps(runs[r][k], row[k], [row[j] for j in others], config.psds, r) for r, row in enumerate(events)
        ]
        steps[int(k)] = joined_steps(parts, len(others))

    def curves(drawn: Integers | None) -> list[tuple[Floats, Floats]]:
        times = np.ones(len(sounds)) if drawn is None else drawn.astype(float)
        counts, hours = times @ n_events, times @ seconds / 3600
        return [
            class_curve(
                steps[k], counts[k], float(times @ durations) / 3600, hours[[j for j in steps if j != k]], config.psds,
                None if drawn is None else times,
            )
            for k in steps
            if counts[k] > 0
        ]  # fmt: skip

    whole = curves(None)
    drawn = weights[:_MOST_PSDS_RESAMPLES]
    return {
        "value": score_of_curves(whole, config.psds),
        "value_interval": interval([score_of_curves(curves(one), config.psds) for one in drawn], drawn),
        "per_label": {labels[k]: score_of_curves([curve], config.psds) for k, curve in zip(steps, whole, strict=True)},
        "n_bootstrap": len(drawn),
    }


def _segments(
    found: Sequence[Sequence[Floats]], truth: Sequence[Sequence[Floats]], sounds: Sequence[Listened], weights: Integers
) -> dict[str, Any]:
    """Error rate and F1 of segments of a second, as in sed_eval (Mesaros et al. 2016): substitutions count once."""
    counts = np.zeros((len(sounds), 5))  # right, substituted, deleted, inserted, active
    for row, (mine, theirs, one) in enumerate(zip(found, truth, sounds, strict=True)):
        latest = max([one.duration_s, *(float(box[:, 1].max()) for box in (*mine, *theirs) if len(box))])
        n = max(1, int(np.ceil(latest / _SEGMENT_S)))
        said, there = (np.stack([_active(box, n) for box in boxes]) for boxes in (mine, theirs))
        right, missed, wrong = ((a & b).sum(axis=0) for a, b in ((said, there), (~said, there), (said, ~there)))
        swapped = np.minimum(missed, wrong)
        counts[row] = [x.sum() for x in (right, swapped, missed - swapped, wrong - swapped, there.sum(axis=0))]
    whole, drawn = (_segment_figures(sums) for sums in (counts.sum(axis=0), weights @ counts))
    return {
        "error_rate": float(whole[0]),
        "error_rate_interval": interval(drawn[0], weights),
        "f1": float(whole[1]),
        "f1_interval": interval(drawn[1], weights),
        **dict(
            zip(("right", "substituted", "deleted", "inserted", "active"), counts.sum(axis=0).astype(int), strict=True)
        ),
    }


def _active(boxes: Floats, n: int) -> np.ndarray:
    """Mark the segments that events touch, bool ``[n]``."""
    active = np.zeros(n, bool)
    for start, end in np.round(boxes, DECIMALS):  # ten frames of 0.1 s end at 0.9999999999999999 s
        active[int(start / _SEGMENT_S) : max(int(start / _SEGMENT_S) + 1, int(np.ceil(end / _SEGMENT_S)))] = True
    return active


def _segment_figures(sums: Floats) -> tuple[Floats, Floats]:
    right, swapped, deleted, inserted, active = np.moveaxis(np.asarray(sums, float), -1, 0)
    errors = np.divide(swapped + deleted + inserted, active, out=np.full_like(active, np.nan), where=active > 0)
    said = 2 * right + 2 * swapped + deleted + inserted
    return errors, np.divide(2 * right, said, out=np.full_like(said, np.nan), where=active > 0)


def _false_alarms(
    kept: pd.DataFrame, calls: pd.DataFrame, labels: Sequence[str], sounds: Sequence[Listened]
) -> dict[str, Any]:
    """Count detections in the fully annotated recordings without the class; an hour, with the exact interval."""
    complete = np.array([one.is_complete for one in sounds], bool)
    hours = np.array([one.duration_s for one in sounds]) / 3600
    per_label: dict[str, Any] = {}
    for label in labels:
        has = np.zeros(len(sounds), bool)
        has[calls.loc[calls["label"] == label, "recording_index"].to_numpy(int)] = True
        without = complete & ~has
        own = kept.loc[kept["label"] == label, "recording_index"].to_numpy(int)
        n, heard = int(without[own].sum()), float(hours[without].sum())
        rate, bounds = hourly_rate(n, heard) if heard else (np.nan, (None, None))
        per_label[label] = {
            "n": n, "hours": heard, "n_recordings": int(without.sum()), "per_hour": rate,
            "per_hour_interval": list(bounds),
        }  # fmt: skip
    mean = mean_defined(np.array([row["per_hour"] for row in per_label.values()], float))
    return {"per_hour": float(mean), "per_label": per_label}
