"""The numbers of an event finder, fitted on the events of the validation recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ecotf.datasets.pauses import most_joined, usual_lengths
from ecotf.detection.finders import Numbers
from ecotf.evaluation.average_precision import precision_recall
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.evaluation.hit_rules import Collars, Overlap, Rule
from ecotf.evaluation.matching import CALL_LABEL, match_track, scored_tables
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.events import judged_annotations
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.scored import ScoredSegments

if TYPE_CHECKING:
    import pandas as pd

_IOUS = (0.3, 0.5)


class FittedFinder(NamedTuple):
    """The numbers of each class, the classes without a validation event to find, and what people are told."""

    numbers: Numbers
    unfitted: list[str]
    notes: tuple[str, ...] = ()


def fit_finder(
    plan: ClipPlan, data: ClipData, scored: ScoredSegments | None, classes: Sequence[str]
) -> FittedFinder | None:
    """Choose the numbers of the event finder for each class by itself, on the events of the validation recordings.

    The highest mean of the best F1 at any threshold is chosen, of three rules: an IoU of 0.3, one of 0.5, and the
    recipe's collars. Where there are several finders to choose from, the one is taken whose best numbers have the
    highest mean over classes with events; some are tried only where calls follow each other closely, and then come
    before others that are little better (`FinderConfig.handicap`), and some only for events of about their length
    (`FinderConfig.suits`). None of a finder that has no numbers.
    """
    config = plan.inference.events
    if not config.fits:
        return None
    candidates, labels = config.candidates(), [*classes, CALL_LABEL]
    lengths = _lengths(data, classes)
    if scored is None or not scored.frames:
        return FittedFinder({label: config.usual(lengths.get(label)) for label in labels}, labels)
    frame_s = scored.frames[0].frame_s
    shortest_s, joined = 2 * frame_s, most_joined(data.manifest.table, classes, frame_s)
    tried = [one for one in candidates if config.handicap(one, joined) is not None] or candidates[:1]
    names, manifest = judged_annotations(data, scored, classes)
    frames = [one for one in scored.frames if one.recording in names]
    if not frames:  # no validation event says which is better, but the pauses still do
        by_handicap = sorted(tried, key=lambda one: config.handicap(one, joined) or 0.0)  # of two alike the first one
        usual = {label: next(one for one in by_handicap if config.suits(one, lengths.get(label))) for label in labels}
        return FittedFinder(usual, labels)
    suited = np.array([[config.suits(one, lengths.get(label)) for label in labels] for one in tried])
    values = np.full(suited.shape, -1.0)
    for row in np.flatnonzero(suited.any(axis=1)):
        found = [one.events(config, classes, dict.fromkeys(labels, tried[row])) for one in frames]
        f1s = _best_f1s(found, manifest.table, names, classes, plan.evaluation)
        values[row] = np.where(suited[row], f1s, -1.0)
    fitted = values.max(axis=0) > 0
    groups = [config.group(one) for one in tried]
    means = {
        name: float(values[[own == name for own in groups]].max(axis=0)[fitted].mean()) if fitted.any() else 0.0
        for name in dict.fromkeys(groups)
    }
    handicaps = {config.group(one): config.handicap(one, joined) or 0.0 for one in tried}
    group = max(means, key=lambda name: means[name] - handicaps[name])  # of two alike the first one
    rows = np.flatnonzero([own == group for own in groups])
    best = rows[values[rows].argmax(axis=0)]
    chosen = {label: tried[row] for label, row in zip(labels, best.tolist(), strict=True)}
    lacking = [label for label, value in zip(labels, values[rows].max(axis=0), strict=True) if value <= 0]
    told = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
    notes = [f"events are found by {group}; mean F1 of validation events: {told}"] if len(means) > 1 else []
    if means[group] < max(means.values()):
        notes.append(
            f"{group} since {joined:.0%} of the pauses between calls of a class are shorter than "
            f"{1000 * shortest_s:g} ms, and another finder must be better by {max(handicaps.values()):g}"
        )
    left = list(dict.fromkeys(config.group(one) for one in candidates if config.group(one) not in groups))
    if left:
        notes.append(
            f"{', '.join(left)} not tried: of the pauses between calls of a class at most {joined:.0%} are shorter "
            f"than {1000 * shortest_s:g} ms"
        )
    return FittedFinder(chosen, lacking, tuple(notes))


def _lengths(data: ClipData, classes: Sequence[str]) -> dict[str, float]:
    """Return the median length of each class's annotated events, and of all of them as ``call``."""
    table = data.manifest.table
    of_any = table[table["label"].isin(list(classes))].assign(label=CALL_LABEL)
    return {**usual_lengths(table, classes), **usual_lengths(of_any, [CALL_LABEL])}


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
