"""The parity report: what a file gives beside what the run gives, stage by stage and in detections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecotf.config import Config
from ecotf.datasets.labels import CALL_LABEL, labels_that_match
from ecotf.evaluation.metrics import evaluate
from ecotf.export.prove.examples import Examples
from ecotf.export.prove.recordings import Heard
from ecotf.export.stages.birdnet_go import scores_of
from ecotf.export.stages.stage import DEFAULT, Precision
from ecotf.models.heads.trees import Trees
from ecotf.tasks.calls.run import LoadedRun

if TYPE_CHECKING:
    import pandas as pd

# Two detections more or less are within what one rounding can do, however few there are.
_DETECTIONS = 2
_SOUNDS = 2  # as many may have their strongest peak taken for another one, where two are as strong
LOUD_DB = 40.0
_TO_DB = {"db": 1.0, "ln": 10 / np.log(10), "log1p": 10 / np.log(10)}


class Tolerances(Config):
    """How far a file may be from its run.

    Attributes
    ----------
    front_end
        Greatest difference of frames, in the units of the scale, up to 40 dB below the frame's greatest.
    network_max, network_rms
        Of the network's answers, which are from 0 to 1.
    trees
        Greatest difference of probabilities; margins must be the same to the bit.
    agreement
        Least share of patches whose likeliest class is the same.
    ap
        Most that an average precision may fall.
    point
        Most that precision or recall at a threshold may fall.
    """

    front_end: float = 2e-3
    network_max: float
    network_rms: float
    trees: float = 3e-7
    agreement: float
    ap: float
    point: float


TOLERANCES: dict[Precision, Tolerances] = {
    "f32": Tolerances(network_max=1e-4, network_rms=1e-5, agreement=0.995, ap=0.002, point=0.005),
    "f16": Tolerances(network_max=0.02, network_rms=2e-3, agreement=0.99, ap=0.005, point=0.01),
    "dynamic": Tolerances(network_max=0.15, network_rms=0.02, agreement=0.95, ap=0.02, point=0.04),
    "int8": Tolerances(network_max=0.35, network_rms=0.04, agreement=0.92, ap=0.03, point=0.06),
}


def compare(
    run: LoadedRun,
    precision: Precision,
    heard: Heard,
    examples: Examples,
    outputs: Mapping[str, NDArray[Any]],
    candidates: pd.DataFrame | None,
) -> dict[str, Any]:
    """Compare what a trial gave with what the desktop gives.

    Parameters
    ----------
    outputs
        Of the trial, by ``signature.name``, and ``between.name`` for what passes between stages.
    candidates
        What the file found in the sounds, with a column ``recording``.

    Returns
    -------
    The report, for ``parity.json``; ``failures`` lists every tolerance that is exceeded.
    """
    tolerances = TOLERANCES[precision]
    report: dict[str, Any] = {
        "precision": precision,
        "compared_on": heard.source,
        "recordings": [sound.name for sound in heard.sounds],
        "seconds": heard.seconds,
        "front_end": None,
        "network": _network(run, examples, outputs),
        "trees": None,
        DEFAULT: _whole(examples, outputs, tolerances),
        "detections": None,
        "tolerances": tolerances.model_dump(),
    }
    if "spectrogram.frames" in outputs:
        scale = run.recipe.front_end.scale
        report["front_end"] = _front_end(examples.expected["spectrogram.frames"], outputs["spectrogram.frames"], scale)
    if run.detector.trees is not None and "between.margins" in outputs:
        report["trees"] = _trees(run.detector.trees, run.detector.needs_measures, examples, outputs)
    if candidates is not None:
        report["detections"] = _detections(run, heard, examples.candidates, candidates)
    report["failures"] = failures(report, tolerances, _fallen)
    return report


def difference(expected: NDArray[Any], given: NDArray[Any]) -> dict[str, Any]:
    """How many, and how far apart at the most and as a rule."""
    apart = np.abs(np.asarray(expected, np.float64) - np.asarray(given, np.float64))
    return {"n": len(expected), "max": float(apart.max(initial=0)), "rms": float(np.sqrt(np.mean(apart**2)))}


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
    """Of how many sounds a score is further from the run's than the network's may be."""
    return int((~(np.abs(expected - given) <= tolerances.network_max)).any(axis=1).sum())


def _whole(examples: Examples, outputs: Mapping[str, NDArray[Any]], tolerances: Tolerances) -> dict[str, Any]:
    """From sound to scores; of BirdNET-Go's profile, which has no score of "not a call", those of the species."""
    expected, logits = examples.expected[f"{DEFAULT}.scores"], outputs.get(f"{DEFAULT}.logits")
    given = outputs[f"{DEFAULT}.scores"] if logits is None else scores_of(logits)
    expected = expected if logits is None else expected[:, 1:]
    return {**_scores(expected, given), "apart": apart(expected, given, tolerances)}


def _network(run: LoadedRun, examples: Examples, outputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The networks alone: their answers, and their embedding as a share of its own size."""
    name = "between.scores" if run.detector.trees is None else "between.answers"
    given = outputs[name]
    result = _scores(examples.expected["between.answers"][: len(given)], given)
    embedding = examples.expected["between.embedding"][: len(given)]
    size = max(float(np.sqrt(np.mean(np.square(embedding)))), 1e-12)
    result["embedding_rms"] = difference(embedding, outputs["between.embedding"])["rms"] / size
    return result


def _trees(trees: Trees, measured: bool, examples: Examples, outputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The trees alone, on what the file's own network gave them."""
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


def reference_margins(trees: Trees, features: NDArray[Any]) -> NDArray[np.float32]:
    """XGBoost's own margins, float32 [n, outputs]: of each booster, or of each combination."""
    features = np.ascontiguousarray(features, np.float32)
    if trees.combinations is not None:
        margins = trees.boosters[0].inplace_predict(features, predict_type="margin")
        return np.asarray(margins, np.float32).reshape(len(features), -1)
    columns: list[NDArray[Any]] = []
    found = []
    for booster, constant in zip(trees.boosters, trees.constants, strict=True):
        seen = features
        if trees.config.strategy == "chain" and columns:
            seen = np.hstack([features, (np.stack(columns, axis=1) > 0.5).astype(np.float32)])
        if booster is None:
            columns.append(np.full(len(features), constant, np.float32))
            continue
        found.append(booster.inplace_predict(seen, predict_type="margin"))
        columns.append(booster.inplace_predict(seen))
    return np.stack(found, axis=1).astype(np.float32)


def _detections(run: LoadedRun, heard: Heard, desktop: pd.DataFrame, device: pd.DataFrame) -> dict[str, Any]:
    """Average precision, and precision and recall at each threshold, of both: [desktop, device]."""
    labels = sorted(label for label in heard.table["label"].unique() if label)
    ignored_labels = labels_that_match(labels, run.recipe.data.ignored_labels)
    names = [sound.name for sound in heard.sounds]
    figures = [
        evaluate(
            table,
            heard.table,
            names,
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


def shared(desktop: pd.DataFrame, device: pd.DataFrame, within_s: float = 1e-5) -> float:
    """The share of all detections that both have: the same label, times within ``within_s``, edges within 0.1 Hz.

    Times of events are interpolated from scores, which are the same to float precision, not bit for bit.
    """
    within = (within_s, within_s, 0.1, 0.1)
    boxes = ["start_s", "end_s", "low_hz", "high_hz"]
    others = {key: table[boxes].to_numpy(float) for key, table in device.groupby(["recording", "label"])}
    same = 0
    for key, table in desktop.groupby(["recording", "label"]):
        left = others.get(key, np.empty((0, len(boxes))))
        for box in table[boxes].to_numpy(float):
            near = np.flatnonzero((np.abs(left - box) <= within).all(axis=1))
            same += len(near) > 0
            left = np.delete(left, near[:1], axis=0)
    either = len(desktop) + len(device) - same
    return same / either if either else 1.0


def failures(
    report: Mapping[str, Any], tolerances: Tolerances, fallen: Callable[[str, Mapping[str, Any], Tolerances], list[str]]
) -> list[str]:
    """Every tolerance that a report exceeds; ``fallen`` says it of one label's figures."""
    found = []

    def least(name: str, value: float, bound: float) -> None:
        if not value >= bound:
            found.append(f"{name} is {value:.4g}, at least {bound:g} is asked for")

    def most(name: str, value: float, bound: float) -> None:
        if not value <= bound:
            found.append(f"{name} is {value:.3g}, at most {bound:g} is allowed")

    if report["front_end"] is not None:
        worst = report["front_end"]["max_within_40_db"]
        most("the front end's greatest error within 40 dB", worst, tolerances.front_end)
    network = report["network"]
    most("the network's greatest error", network["max"], tolerances.network_max)
    most("the network's rms error", network["rms"], tolerances.network_rms)
    least("the network's agreement", network["agreement"], tolerances.agreement)
    whole = report[DEFAULT]
    if "apart" in whole:
        most(
            "the number of sounds with a wrong score",
            whole["apart"],
            max(_SOUNDS, (1 - tolerances.agreement) * whole["n"]),
        )
    if "frames" in report[DEFAULT]:
        most("the frames' rms error", report[DEFAULT]["frames"]["rms"], tolerances.network_rms)
    if report["trees"] is not None:
        least("the share of exact margins", report["trees"]["exact_margins"], 1.0)
        most("the trees' greatest error", report["trees"]["max"], tolerances.trees)
    means = (report["detections"] or {}).get("cmap", [None, None])
    if None not in means:
        few = sum(row["n"] for row in report["detections"]["labels"].values())
        least("the mean AP over classes", means[1], means[0] - max(tolerances.ap, _DETECTIONS / max(few, 1)))
    for label, row in (report["detections"] or {"labels": {}})["labels"].items():
        found += fallen(label, row, tolerances)
    return found


def _fallen(label: str, row: Mapping[str, Sequence[Any]], tolerances: Tolerances) -> list[str]:
    found = []
    few = max([n for n in row["n_detections"] if n is not None] or [0])
    for key, bound in (("ap", tolerances.ap), ("precision", tolerances.point), ("recall", tolerances.point)):
        before, after = row[key]
        if before is None or after is None:
            continue
        allowed = max(bound, _DETECTIONS / max(few, 1))
        if before - after > allowed:
            found.append(f"{key} of {label!r} falls from {before:.3f} to {after:.3f}, by more than {allowed:.3f}")
    return found
