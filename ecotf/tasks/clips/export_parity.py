"""The parity report of a run of task clips: image, network, segments, and what is found in recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from ecotf.datasets.manifest import Manifest
from ecotf.detection.segments import score_images
from ecotf.errors import DataError
from ecotf.evaluation.segment_metrics import class_average_precision, counted_labels
from ecotf.export.prove.examples import Examples, as_float
from ecotf.export.prove.parity import LOUD_DB, TOLERANCES, Tolerances, alike, difference, failures, new_report, shared
from ecotf.export.prove.recordings import Heard
from ecotf.export.stages.sound import raw_config
from ecotf.export.stages.stage import DEFAULT, Precision
from ecotf.features import MelSpectrogram
from ecotf.models.tagger import ClipModel
from ecotf.pipelines.clip_places import segments_of_recordings
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.run import ClipsRun

_EDGE_S = 0.01  # an event is the same when its edges, which are interpolated between frames, are as near as that


def compare(
    run: ClipsRun[ClipRecipe, ClipModel],
    precision: Precision,
    heard: Heard,
    examples: Examples,
    outputs: Mapping[str, NDArray[Any]],
    found: pd.DataFrame,
) -> dict[str, Any]:
    """Compare what a rehearsal gave with what the run gives; ``failures`` lists every tolerance that is exceeded.

    The network is compared on the file's own images, so that it answers for nothing that the front end did.
    """
    tolerances = TOLERANCES[precision]
    scores, images = outputs[f"{DEFAULT}.scores"], outputs["between.image"]
    sounds = examples.inputs[f"{DEFAULT}.sound"]
    answers = expit(score_images(run.model, run.recipe.inference, images, sounds.shape[1])[0].astype(np.float64))
    whole = compare_scores(examples.expected[f"{DEFAULT}.scores"], scores, tolerances)
    if f"{DEFAULT}.frames" in outputs:
        whole["frames"] = difference(examples.expected[f"{DEFAULT}.frames"], outputs[f"{DEFAULT}.frames"])
    report = new_report(precision, heard)
    if not run.model.front_end.in_graph:  # otherwise the image is the sound itself
        report["front_end"] = _front_end(run, sounds[: len(images)], images)
    report["network"] = compare_scores(answers, scores[: len(images)], tolerances)
    report[DEFAULT] = whole
    report["detections"] = compare_detections(run, heard, examples, scores, found)
    report["failures"] = failures(report, lambda row: int(row["n"]))
    return report


def _front_end(run: ClipsRun[ClipRecipe, ClipModel], sounds: NDArray[Any], images: NDArray[Any]) -> dict[str, Any]:
    """Images in decibels; of three channels the first says how far levels are apart."""
    expected = np.concatenate([run.model.images(as_float(sound)[None]) for sound in sounds])
    loud = np.ones(expected.shape[:-1], bool)
    if run.model.front_end.scale == "db":
        plain = MelSpectrogram(raw_config(run.model.front_end), run.model.sample_rate)
        levels = np.concatenate([plain.batch(as_float(sound)[None]) for sound in sounds])
        loud = levels >= levels.max(axis=-1, keepdims=True) - LOUD_DB
    apart = run.model.image.scale * np.abs(expected[..., 0] - images[..., 0])
    scaled = difference(run.model.image.scale * expected, run.model.image.scale * images)
    unit = "dB" if run.model.front_end.scale == "db" else run.model.front_end.scale
    return {**scaled, "max_within_40_db": float(apart[loud].max(initial=0)), "unit": unit, "of": "windows"}


def compare_scores(expected: NDArray[Any], given: NDArray[Any], tolerances: Tolerances) -> dict[str, Any]:
    """Agreement: the likeliest class is the same, or the run holds both for as likely, by a tenth of the tolerance."""
    result = difference(expected, given)
    chosen = np.take_along_axis(expected, given.argmax(axis=1)[:, None], axis=1)[:, 0]
    near = chosen >= expected.max(axis=1) - tolerances.network_max / 10
    result["agreement"] = float(near.mean()) if len(expected) else 1.0
    return result


def compare_detections(
    run: ClipsRun, heard: Heard, examples: Examples, scores: NDArray[Any], found: pd.DataFrame
) -> dict[str, Any]:
    """Average precision of segments, and precision and recall at each threshold: [run, file]."""
    classes = run.model.classes
    level = np.array([run.thresholds[name] for name in classes])
    both = (examples.expected[f"{DEFAULT}.scores"], scores)
    truth, there = _truth(run, heard, examples.segments)
    precisions = [class_average_precision(truth[there], values[there]) for values in both]
    labels: dict[str, Any] = {}
    for k, name in enumerate(classes):
        yes = truth[there, k] > 0
        hits = [values[there, k] >= level[k] for values in both]
        labels[name] = {
            "n": int(yes.sum()),
            "ap": [_known(figure[k]) for figure in precisions],
            "precision": [float(yes[hit].mean()) if yes.any() and hit.any() else None for hit in hits],
            "recall": [float(hit[yes].mean()) if yes.any() else None for hit in hits],
            "n_detections": [int((table["label"] == name).sum()) for table in (examples.candidates, found)],
        }
    means = [[row["ap"][side] for row in labels.values() if row["ap"][side] is not None] for side in (0, 1)]
    events = {} if run.answering.event_thresholds is None else {"alike": alike(examples.candidates, found)}
    return {
        **events,
        "of": "segments",
        "segments_with_truth": int(there.sum()),
        "cmap": [float(np.mean(mean)) if mean else None for mean in means],
        "same_decisions": float(np.mean((both[0] >= level) == (both[1] >= level))),
        "n_candidates": [both[0].size, both[1].size],
        "n_detections": [len(examples.candidates), len(found)],
        "same_detections": shared(examples.candidates, found, _EDGE_S),
        "labels": labels,
    }


def _truth(
    run: ClipsRun[ClipRecipe, ClipModel], heard: Heard, counts: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Labels of all segments, [segments, classes], and of which anything is known."""
    truth, known = np.zeros((sum(counts), len(run.model.classes)), np.int64), np.zeros(sum(counts), bool)
    segment_s = run.recipe.inference.segment_s
    begins = dict(zip((sound.name for sound in heard.sounds), np.cumsum([0, *counts[:-1]]), strict=True))
    durations = {sound.name: sound.duration_s for sound in heard.sounds}
    config = run.recipe.clips.model_copy(update={"seconds": segment_s})
    try:
        made = segments_of_recordings(Manifest(heard.table, Path()), durations, run.model.classes, config)
    except DataError:  # nothing is annotated
        return truth, known
    for number, start, targets in zip(made.table.recording, made.table.start_s, made.table.targets, strict=True):
        at = begins[made.recordings[number]] + round(start / segment_s)
        truth[at], known[at] = counted_labels(targets), True
    return truth, known


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
