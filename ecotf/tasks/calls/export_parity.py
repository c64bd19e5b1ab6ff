"""The parity report of a run of task calls: frames, network, trees, and what is found in recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecotf.datasets.labels import CALL_LABEL, labels_that_match
from ecotf.evaluation.metrics import evaluate
from ecotf.export.prove.examples import Examples
from ecotf.export.prove.parity import (
    LOUD_DB,
    TOLERANCES,
    Tolerances,
    difference,
    failures,
    new_report,
    reference_margins,
    shared,
)
from ecotf.export.prove.recordings import Heard
from ecotf.export.prove.rehearsal import Rehearsal
from ecotf.export.stages.birdnet_go import scores_of
from ecotf.export.stages.stage import DEFAULT, Precision
from ecotf.models.heads.trees import Trees
from ecotf.tasks.calls.run import CallsRun

_TO_DB = {"db": 1.0, "ln": 10 / np.log(10), "log1p": 10 / np.log(10)}


def compare(
    run: CallsRun, precision: Precision, heard: Heard, examples: Examples, rehearsal: Rehearsal
) -> dict[str, Any]:
    """Compare what a rehearsal gave with what the desktop gives; ``failures`` lists exceeded tolerances."""
    outputs, detector = rehearsal.outputs, run.detector
    report = new_report(precision, heard)
    report["network"] = _network(run, examples, outputs)
    report[DEFAULT] = _whole(examples, outputs, TOLERANCES[precision])
    if "spectrogram.frames" in outputs:
        scale = run.recipe.front_end.scale
        report["front_end"] = _front_end(examples.expected["spectrogram.frames"], outputs["spectrogram.frames"], scale)
    if detector.trees is not None and "between.margins" in outputs:
        report["trees"] = _trees(detector.trees, detector.needs_measures, examples, outputs)
    if rehearsal.candidates is not None:
        report["detections"] = _detections(run, heard, examples.candidates, rehearsal.candidates)
    report["failures"] = failures(report, _most_found)
    return report


def _front_end(expected: NDArray[Any], given: NDArray[Any], scale: str) -> dict[str, Any]:
    loud = np.ones(expected.shape, bool)
    if scale in _TO_DB:
        levels = expected * _TO_DB[scale]
        loud = levels >= levels.max(axis=-1, keepdims=True) - LOUD_DB
    else:  # powers have no natural unit: as a share of the greatest
        greatest = max(float(np.abs(expected).max(initial=0)), 1e-30)
        expected, given = expected / greatest, given / greatest
    within = float(np.abs(expected - given)[loud].max(initial=0))
    unit = "dB" if scale == "db" else scale
    return {**difference(expected, given), "max_within_40_db": within, "unit": unit}


def _scores(expected: NDArray[Any], given: NDArray[Any]) -> dict[str, Any]:
    result = difference(expected, given)
    result["agreement"] = float(np.mean(expected.argmax(axis=1) == given.argmax(axis=1))) if len(expected) else 1.0
    return result


def apart(expected: NDArray[Any], given: NDArray[Any], tolerances: Tolerances) -> int:
    """Count the sounds of which a score is further from the run's than the network's may be."""
    return int((~(np.abs(expected - given) <= tolerances.network_max)).any(axis=1).sum())


def _whole(examples: Examples, outputs: Mapping[str, NDArray[Any]], tolerances: Tolerances) -> dict[str, Any]:
    """Compare from sound to scores; BirdNET-Go's profile has no score of "not a call", only species."""
    expected, logits = examples.expected[f"{DEFAULT}.scores"], outputs.get(f"{DEFAULT}.logits")
    given = outputs[f"{DEFAULT}.scores"] if logits is None else scores_of(logits)
    expected = expected if logits is None else expected[:, 1:]
    return {**_scores(expected, given), "apart": apart(expected, given, tolerances)}


def _network(run: CallsRun, examples: Examples, outputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Compare the networks alone: their answers, and their embedding as a share of its own size."""
    name = "between.scores" if run.detector.trees is None else "between.answers"
    given = outputs[name]
    result = _scores(examples.expected["between.answers"][: len(given)], given)
    embedding = examples.expected["between.embedding"][: len(given)]
    size = max(float(np.sqrt(np.mean(np.square(embedding)))), 1e-12)
    result["embedding_rms"] = difference(embedding, outputs["between.embedding"])["rms"] / size
    return result


def _trees(trees: Trees, measured: bool, examples: Examples, outputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Compare the trees alone, on the outputs of the file's own network."""
    seen = outputs["between.embedding"]
    if measured:
        seen = np.hstack([seen, outputs["between.answers"], examples.inputs["score.measures"][: len(seen)]])
    margins, scores = reference_margins(trees, seen), trees.predict(seen)
    given = outputs["between.margins"]
    return {
        "n_trees": trees.n_trees,
        "exact_margins": float(np.mean(margins == given)),
        "margins_max": float(np.abs(margins - given).max(initial=0)),
        **_scores(scores, outputs["between.scores"]),
    }


def _detections(run: CallsRun, heard: Heard, desktop: pd.DataFrame, device: pd.DataFrame) -> dict[str, Any]:
    """Average precision, and precision and recall at each threshold, of both: [desktop, device]."""
    labels = sorted(label for label in heard.table["label"].unique() if label)
    ignored_labels = labels_that_match(labels, run.recipe.data.ignored_labels)
    figures = [
        evaluate(
            table,
            heard.table,
            [sound.name for sound in heard.sounds],
            labels=run.detector.species,
            ignored_labels=ignored_labels,
            thresholds=run.thresholds,
            tolerance_s=run.recipe.evaluation.tolerance_s,
            n_bootstrap=1,
        )
        for table in (desktop, device)
    ]
    rows = {CALL_LABEL: [figure["detection"] for figure in figures]}
    for label in run.detector.species:
        rows[label] = [figure["species"]["per_label"][label] for figure in figures]
    keys = ("ap", "precision", "recall", "n_detections")
    kept = [_above(table, run.thresholds) for table in (desktop, device)]
    return {
        "n_candidates": [len(desktop), len(device)],
        "n_detections": [len(table) for table in kept],
        "same_detections": shared(kept[0], kept[1]),
        "labels": {label: {key: [row.get(key) for row in pair] for key in keys} for label, pair in rows.items()},
    }


def _above(table: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.DataFrame:
    return table[table["score"].to_numpy(float) >= table["label"].map(dict(thresholds)).to_numpy(float)]


def _most_found(row: Mapping[str, Any]) -> int:
    """Detections of a label, by the run or by the file, of which there are more."""
    return max([n for n in row["n_detections"] if n is not None] or [0])
