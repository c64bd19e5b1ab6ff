"""Events of a training on clips: the finder and the thresholds fitted on validation recordings, and both judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ecotf.datasets.coverage import fully_annotated
from ecotf.datasets.manifest import Manifest
from ecotf.detection.finders import Numbers
from ecotf.evaluation.average_precision import precision_recall
from ecotf.evaluation.edges import Listened, judge_edges
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.evaluation.matching import CALL_LABEL, Collars, Overlap, Rule, match_track, scored_tables
from ecotf.evaluation.metrics import evaluate
from ecotf.evaluation.thresholds import FittedThresholds, fit_thresholds
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.scored import ScoredSegments, with_ends

if TYPE_CHECKING:
    import pandas as pd

_IOUS = (0.3, 0.5)


class FittedFinder(NamedTuple):
    """The numbers of each class, and the classes without a validation event that could be found."""

    numbers: Numbers
    unfitted: list[str]


def fit_finder(
    plan: ClipPlan, data: ClipData, scored: ScoredSegments | None, classes: Sequence[str]
) -> FittedFinder | None:
    """Choose the numbers of the event finder for each class by itself, on the events of the validation recordings.

    The highest mean of the best F1 at any threshold is chosen, of three rules: an IoU of 0.3, one of 0.5, and the
    recipe's collars. None of a finder that has no numbers.
    """
    config = plan.inference.events
    if not config.fits:
        return None
    tried, labels = config.candidates(), [*classes, CALL_LABEL]
    names, manifest = ([], None) if scored is None else _judged(data, scored, classes)
    frames = [] if scored is None else [one for one in scored.frames if one.recording in names]
    if not frames or manifest is None:
        return FittedFinder(dict.fromkeys(labels, tried[0]), labels)
    values = np.zeros((len(tried), len(labels)))
    for row, numbers in enumerate(tried):
        found = [one.events(config, classes, dict.fromkeys(labels, numbers)) for one in frames]
        values[row] = _best_f1s(found, manifest.table, names, classes, plan.evaluation)
    best = values.argmax(axis=0)
    chosen = {label: tried[row] for label, row in zip(labels, best.tolist(), strict=True)}
    return FittedFinder(chosen, [label for label, value in zip(labels, values.max(axis=0), strict=True) if not value])


def _best_f1s(
    found: Sequence[pd.DataFrame],
    table: pd.DataFrame,
    names: Sequence[str],
    classes: Sequence[str],
    evaluation: EvaluationConfig,
) -> np.ndarray:
    """Return the best F1 of each class, and of ``call``, averaged over the three rules; 0 where there is none."""
    import pandas as pd

    detections, calls = scored_tables(pd.concat(found, ignore_index=True), table, names, ())
    rules: list[Rule] = [Overlap(iou) for iou in _IOUS]
    rules.append(Collars(evaluation.collar_s, evaluation.collar_s, evaluation.collar_share))
    values = []
    for label in [*classes, CALL_LABEL]:
        own, true = detections[detections["label"] == label], calls
        if label != CALL_LABEL:
            true = calls[calls["label"] == label]
        values.append(np.mean([_best_f1(own, true, len(names), rule) for rule in rules]))
    return np.array(values)


def _best_f1(detections: pd.DataFrame, calls: pd.DataFrame, n_recordings: int, rule: Rule) -> float:
    if not len(calls):
        return 0.0
    track = match_track(detections, calls, n_recordings, rule)
    curve = precision_recall(track.scores, track.hits, track.n_calls)
    both = curve.precision + curve.recall
    return float(np.max(2 * curve.precision * curve.recall / np.maximum(both, 1e-12), initial=0.0))


def fit_event_thresholds(
    plan: ClipPlan, data: ClipData, scored: ScoredSegments, classes: Sequence[str]
) -> FittedThresholds:
    """Fit thresholds of events on the validation recordings; 0.5 where there are no events to fit on."""
    if scored.candidates is None:
        return FittedThresholds(dict.fromkeys([*classes, CALL_LABEL], 0.5), [*classes, CALL_LABEL])
    names, manifest = _judged(data, scored, classes)
    found = scored.candidates[scored.candidates["recording"].isin(names)]
    return fit_thresholds(found, manifest.table, names, classes, plan.evaluation.tolerance_s)


def judge_events(
    plan: ClipPlan,
    data: ClipData,
    scored: ScoredSegments,
    classes: Sequence[str],
    thresholds: dict[str, float],
    edges: bool = True,
) -> dict[str, Any]:
    """Compute the metrics of events as `evaluate` gives them and, as ``edges``, those of `judge_edges`."""
    assert scored.candidates is not None
    names, manifest = _judged(data, scored, classes)
    found = scored.candidates[scored.candidates["recording"].isin(names)]
    judged = evaluate(
        found, manifest.table, names, labels=classes, ignored_labels=(), thresholds=thresholds,
        tolerance_s=plan.evaluation.tolerance_s, seed=plan.seed, n_bootstrap=plan.evaluation.bootstrap,
    )  # fmt: skip
    complete = fully_annotated(data.manifest.table)
    listened = {
        one.recording: Listened(one.duration_s, one.recording in complete, one.edges_s, one.probabilities)
        for one in scored.frames
        if one.recording in names
    }
    if edges and len(listened) == len(names):
        judged["edges"] = judge_edges(
            found, manifest.table, listened, labels=classes, ignored_labels=(), thresholds=thresholds,
            config=plan.evaluation, seed=plan.seed,
        )  # fmt: skip
    return judged


def _judged(data: ClipData, scored: ScoredSegments, classes: Sequence[str]) -> tuple[list[str], Manifest]:
    """Return the recordings that were scored, and their annotations of the classes with a start and an end.

    Recordings that have a class without an end are left out: nobody has written down where it is in them. Those
    without a class keep one row without a label: nothing is to be found in them.
    """

    import pandas as pd

    names = with_ends(data, scored.table["recording"], classes)
    table = data.manifest.table
    table = table[table["recording"].isin(names)]
    usable = table[table["label"].isin(list(classes))]
    empty = table[~table["recording"].isin(usable["recording"])].drop_duplicates("recording").assign(label="")
    return names, Manifest(pd.concat([usable, empty], ignore_index=True), data.manifest.root)
