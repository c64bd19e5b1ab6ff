"""What sed_scores_eval 0.0.4 says of scenes that are drawn from seeds, kept in ``sed_scores_figures.json``.

The library cannot stand beside our pins: it fails with pandas 3 (it writes into what is read-only there), and what it
imports asks for ``pkg_resources``, which setuptools no longer has. So it is asked in an environment of its own,

    python3.11 -m venv other
    other/bin/pip install "setuptools<81" "pandas<3" numpy==1.26.4 pydantic PyYAML sed_scores_eval==0.0.4
    PYTHONPATH=. other/bin/python tests/sed_scores_figures.py

which prints the largest difference over 1000 scenes, and keeps what it said of the first ones.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ecotf.evaluation.edges import Listened, judge_edges
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.evaluation.psds import PsdsConfig

KEPT = Path(__file__).with_suffix(".json")
N_SCENES, N_KEPT = 1000, 40
THRESHOLD = 0.55
Figures = dict[str, dict[str, float]]


class Sound(NamedTuple):
    name: str
    edges_s: np.ndarray  # [frames + 1]
    scores: np.ndarray  # [frames, classes]
    events: dict[str, list[tuple[float, float]]]
    duration_s: float


class Scene(NamedTuple):
    sounds: list[Sound]
    labels: list[str]  # those that have an event somewhere
    boxes: pd.DataFrame  # detections that are there or not, some over one another
    config: EvaluationConfig


def scene(seed: int) -> Scene:
    """One to five classes and recordings; scores with ties, of two values or of one; events on and between frames."""
    rng = np.random.default_rng(seed)
    n_classes, n_sounds = rng.integers(1, 6, 2).tolist()
    step = float(rng.choice([1.0, 0.25, 0.1, 256 / 22050, 0.01]))
    decimals, on_grid = int(rng.choice([0, 1, 2, 16])), rng.random() < 0.4
    labels = [f"class {k}" for k in range(n_classes)]
    sounds = []
    for number in range(n_sounds):
        n = int(rng.integers(2, 120))
        scores = rng.random((n, n_classes)) ** 2
        events: dict[str, list[tuple[float, float]]] = {label: [] for label in labels}
        for k, label in enumerate(labels):
            at = float(rng.uniform(0.1, 0.3 * n))
            while at < n - 1 and rng.random() < 0.75:
                length = float(rng.choice([rng.uniform(2, 6), rng.uniform(6, 40)]))
                start, end = (round(at), round(at + length)) if on_grid else (at, at + length)
                end = min(end, n)  # the library's segments end with the sound
                events[label].append((start * step, end * step))
                heard = slice(int(start), int(np.ceil(end)))
                scores[heard, int(rng.integers(n_classes)) if rng.random() < 0.3 else k] += float(
                    rng.choice([0.2, 0.8])
                )
                at = end + float(rng.choice([1.0, rng.uniform(1, 20)]))
        scores = np.round(scores, decimals) if rng.random() < 0.9 else np.full_like(scores, 0.6)
        duration_s = float(n * step * rng.choice([1.0, 1.3]))
        sounds.append(Sound(f"r{number}", np.arange(n + 1) * step, scores, events, duration_s))
    return Scene(
        sounds,
        [label for label in labels if any(sound.events[label] for sound in sounds)],
        _boxes(rng, sounds, labels, step),
        _config(rng, step),
    )


def _boxes(rng: np.random.Generator, sounds: list[Sound], labels: list[str], step: float) -> pd.DataFrame:
    rows = []
    for sound in sounds:
        for label in labels:
            near = sound.events[label if rng.random() < 0.7 else str(rng.choice(labels))]
            for _ in range(int(rng.integers(0, 9))):
                start = float(rng.uniform(0, sound.edges_s[-1]))
                end = start + float(rng.exponential(5 * step))
                if near and rng.random() < 0.7:
                    start, end = near[int(rng.integers(len(near)))]
                    start, end = np.add((start, end), rng.normal(0, 0.2, 2) * (end - start)).tolist()
                if 0 <= start < end:
                    score = float(np.round(rng.random(), int(rng.choice([1, 16]))))
                    rows.append((sound.name, start, end, label, score))
    return pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "score"])


def _config(rng: np.random.Generator, step: float) -> EvaluationConfig:
    dtc, gtc, cttc = rng.choice([0.1, 0.3, 0.5, 0.7, 1.0], 3).tolist()
    crossed = rng.random() < 0.6
    psds = PsdsConfig(
        dtc=dtc, gtc=gtc, cttc=cttc if crossed else None, alpha_ct=float(rng.choice([0.5, 3.0])) if crossed else 0.0,
        alpha_st=float(rng.choice([0.0, 0.5, 1.0])), max_efpr=float(rng.choice([100.0, 1000.0, 10000.0, 100000.0])),
    )  # fmt: skip
    # Collars within which no event has two detections, and no detection two events: there it matters not who chooses.
    return EvaluationConfig(bootstrap=1, collar_s=0.9 * step, collar_share=float(rng.choice([0.0, 0.3])), psds=psds)


def by_ecotf(one: Scene) -> Figures:
    """PSDS of frames and boxes, of all and of each class; hits within the collars; segments right, missed and wrong."""
    truth = [(s.name, *box, label) for s in one.sounds for label in one.labels for box in s.events[label]]
    truth += [(sound.name, 0.0, np.nan, "") for sound in one.sounds]
    table = pd.DataFrame(truth, columns=["recording", "start_s", "end_s", "label"])
    rows = []
    for sound in one.sounds:
        columns = [int(label[-1]) for label in one.labels]
        for label, values in zip(one.labels, sound.scores[:, columns].T, strict=True):
            turns = np.flatnonzero(np.diff(values > THRESHOLD, prepend=False, append=False))
            for first, last in turns.reshape(-1, 2).tolist():
                rows.append((sound.name, *sound.edges_s[[first, last]], label, values[first:last].max()))
    runs = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "score"])
    columns = [int(label[-1]) for label in one.labels]
    frames = {s.name: Listened(s.duration_s, True, s.edges_s, s.scores[:, columns]) for s in one.sounds}
    how: dict[str, Any] = {
        "labels": one.labels, "ignored_labels": (), "thresholds": dict.fromkeys(one.labels, 0.0), "config": one.config,
    }  # fmt: skip
    of_boxes, of_runs = (judge_edges(found, table, frames, **how) for found in (one.boxes, runs))
    found = of_runs["collars"]["per_label"]
    segments = of_runs["segments"]
    return {
        "frames": {"all": of_runs["psds_frames"]["value"], **of_runs["psds_frames"]["per_label"]},
        "boxes": {"all": of_boxes["psds"]["value"], **of_boxes["psds"]["per_label"]},
        "F, both edges": {label: row["f1"] or 0.0 for label, row in found.items()},
        "segments": {
            "right": segments["right"],
            "missed": segments["deleted"] + segments["substituted"],
            "wrong": segments["inserted"] + segments["substituted"],
        },
    }


def by_library(one: Scene) -> Figures:
    """The same by sed_scores_eval."""
    import sed_scores_eval as library

    psds = one.config.psds
    columns = [int(label[-1]) for label in one.labels]
    as_frames = library.base_modules.scores.create_score_dataframe
    scores = {s.name: as_frames(s.scores[:, columns], s.edges_s, one.labels) for s in one.sounds}
    truth = {s.name: [(*box, label) for label in one.labels for box in s.events[label]] for s in one.sounds}
    durations = {sound.name: sound.duration_s for sound in one.sounds}
    crossed = psds.cttc is not None and len(one.labels) > 1  # of one class alone the library's mean is not a number
    shares = {"dtc_threshold": psds.dtc, "gtc_threshold": psds.gtc, "cttc_threshold": psds.cttc if crossed else None}
    how = {**shares, "alpha_ct": psds.alpha_ct if crossed else 0.0, "alpha_st": psds.alpha_st}
    how["max_efpr"] = psds.max_efpr
    value, labels, *_ = library.intersection_based.psds(scores, truth, durations, **how)
    steps = _library_steps(one, shares)
    boxes, box_labels, *_ = library.intersection_based.psds(scores, truth, durations, deltas=steps, **how)
    collar_s, collar_share = one.config.collar_s, one.config.collar_share
    edges, _, _, _ = library.collar_based.fscore(
        scores, truth, THRESHOLD, onset_collar=collar_s, offset_collar=collar_s, offset_collar_rate=collar_share
    )
    *_, segments = library.segment_based.fscore(scores, truth, durations, THRESHOLD, segment_length=1.0)
    return {
        "frames": {"all": float(value), **{label: float(one) for label, one in labels.items()}},
        "boxes": {"all": float(boxes), **{label: float(one) for label, one in box_labels.items()}},
        "F, both edges": {label: float(edges[label]) for label in one.labels},
        "segments": {
            "right": sum(int(row["tps"]) for row in segments.values()),
            "missed": sum(int(row["n_ref"] - row["tps"]) for row in segments.values()),
            "wrong": sum(int(row["fps"]) for row in segments.values()),
        },
    }


def _library_steps(one: Scene, shares: dict[str, Any]) -> dict[str, Any]:
    """Let the library count detections that are there or not, threshold by threshold; its own are runs of frames."""
    from sed_scores_eval.base_modules.statistics import _deltas_from_intermediate_statistics
    from sed_scores_eval.intersection_based.intermediate_statistics import statistics_fn

    steps: dict[str, Any] = {}
    for sound in one.sounds:
        steps[sound.name] = {}
        sides = [{label: np.array([box[i] for box in sound.events[label]]) for label in one.labels} for i in (0, 1)]
        for label in one.labels:
            own = one.boxes[(one.boxes["recording"] == sound.name) & (one.boxes["label"] == label)]
            start, end, score = own[["start_s", "end_s", "score"]].to_numpy(float).T
            thresholds = np.unique(np.append(score, 2.0))  # at 2 there is nothing
            starts = np.tile(start, (len(thresholds), 1))
            ends = np.where(score >= thresholds[:, None], end, starts)
            others = [{name: times for name, times in side.items() if name != label} for side in sides]
            counts = statistics_fn(starts, ends, sides[0][label], sides[1][label], *others, *shares.values())
            steps[sound.name][label] = _deltas_from_intermediate_statistics(thresholds, counts)
    return steps


def differences(said: Figures, expected: Figures) -> dict[str, float]:
    """Return the largest difference of each kind; the names must be the same."""
    assert {kind: set(row) for kind, row in said.items()} == {kind: set(row) for kind, row in expected.items()}
    return {kind: max(abs(said[kind][name] - value) for name, value in row.items()) for kind, row in expected.items()}


def main() -> None:
    said: dict[int, Figures] = {}
    worst: dict[str, float] = {}
    for seed in range(N_SCENES):
        one = scene(seed)
        try:
            with warnings.catch_warnings(action="ignore"):
                said[seed] = by_library(one)
        except (AssertionError, IndexError, ValueError):  # no event at all, or a class of which no threshold changes
            continue
        for kind, apart in differences(by_ecotf(one), said[seed]).items():
            worst[kind] = max(worst.get(kind, 0.0), apart)
    print(f"{len(said)} scenes of {N_SCENES}; largest differences: {worst}")
    rows = ",\n".join(f'"{seed}": {json.dumps(said[seed])}' for seed in list(said)[:N_KEPT])
    KEPT.write_text("{\n" + rows + "\n}\n")


if __name__ == "__main__":
    main()
