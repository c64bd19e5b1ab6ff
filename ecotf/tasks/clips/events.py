"""Events of a training on clips: thresholds fitted on validation recordings, and what is found judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ecotf.datasets.coverage import fully_annotated
from ecotf.datasets.manifest import Manifest
from ecotf.evaluation.edges import Listened, judge_edges
from ecotf.evaluation.matching import CALL_LABEL
from ecotf.evaluation.metrics import evaluate
from ecotf.evaluation.steady_thresholds import fit_steady_thresholds
from ecotf.evaluation.thresholds import FittedThresholds, with_guesses
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.scored import ScoredSegments, with_ends


def fit_event_thresholds(
    plan: ClipPlan, data: ClipData, scored: ScoredSegments | None, classes: Sequence[str]
) -> FittedThresholds:
    """Fit thresholds of events on the validation recordings; 0.5 where there are no events to fit on."""
    if scored is None or scored.candidates is None:
        return FittedThresholds(*with_guesses({}, [*classes, CALL_LABEL]))
    names, manifest = judged_annotations(data, scored, classes)
    found = scored.candidates[scored.candidates["recording"].isin(names)]
    return fit_steady_thresholds(found, manifest.table, names, classes, plan.evaluation.tolerance_s, seed=plan.seed)


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
    names, manifest = judged_annotations(data, scored, classes)
    found = scored.candidates[scored.candidates["recording"].isin(names)]
    judged = evaluate(
        found, manifest.table, names, labels=classes, ignored_labels=(), thresholds=thresholds,
        tolerance_s=plan.evaluation.tolerance_s, seed=plan.seed, n_bootstrap=plan.evaluation.bootstrap,
    )  # fmt: skip
    complete = fully_annotated(data.manifest.table)
    listened = {
        one.recording: Listened(
            one.duration_s, one.recording in complete, one.edges_s, one.of_classes(len(classes)), one.known_s
        )
        for one in scored.frames
        if one.recording in names
    }
    if edges and len(listened) == len(names):
        judged["edges"] = judge_edges(
            found, manifest.table, listened, labels=classes, ignored_labels=(), thresholds=thresholds,
            config=plan.evaluation, seed=plan.seed,
        )  # fmt: skip
    return judged


def judged_annotations(data: ClipData, scored: ScoredSegments, classes: Sequence[str]) -> tuple[list[str], Manifest]:
    """Return the recordings that were scored, and their annotations of the classes with a start and an end.

    Recordings that have a class without an end are left out: nobody has written down where it is in them. Those
    without a class keep one row without a label: nothing is to be found in them.
    """

    import pandas as pd

    names = with_ends(data, scored.recordings, classes)
    table = data.manifest.table
    table = table[table["recording"].isin(names)]
    usable = table[table["label"].isin(list(classes))]
    empty = table[~table["recording"].isin(usable["recording"])].drop_duplicates("recording").assign(label="")
    return names, Manifest(pd.concat([usable, empty], ignore_index=True), data.manifest.root)
