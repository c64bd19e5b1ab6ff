"""The material of a report on a run of clips: figures of segments, and the segments or events that are most wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.evaluation.segment_metrics import counted_labels
from ecotf.runs import RunFolder
from ecotf.tasks.clips.judge_episodes import TITLES
from ecotf.tasks.clips.reported_events import events_to_look_at
from ecotf.tasks.recipes import read_run_recipe
from ecotf.tasks.reported import (
    ClassFigures,
    Figure,
    Material,
    Mistake,
    RunRecordings,
    curves_of,
    figure_of,
    figures_of_edges,
    judged_part,
    some_of_each,
)

_MEANS = (("cmap", "mAP"), ("roc_auc", "ROC-AUC"), ("d_prime", "d-prime"), ("padded_cmap_5", "padded cmAP"))
_OF_CLASS = (("ap", "AP"), ("roc_auc", "ROC-AUC"), ("d_prime", "d-prime"))
_OF_EVENTS = (("ap", "events: average precision"), ("f1", "events: F1"))
_SHOWN_SCORES = 3
# What the stages of a kind are compared by; where several are, the first.
_SCORES = {"accuracy": "accuracy in episodes", "frame_ap": "average precision of frames", "padded_cmap": "padded cmAP"}


def report_clips(folder: Path, most: int) -> Material:
    """Read what a report says of a run; raises `ConfigError` where the run cannot be read."""
    run = RunFolder.open(folder)
    recipe: Any = read_run_recipe(run.path)
    metrics, fitted = run.read_json("metrics.json"), run.read_json("thresholds.json")
    scores = _Scores(run, fitted["thresholds"], recipe.inference.segment_s) if run.has("predictions.npz") else None
    figures: list[Figure] = []
    classes: tuple[ClassFigures, ...] = ()
    if scores is not None:
        segments = judged_part(metrics, "segments", folder)
        figures = [figure_of(segments, key, name) for key, name in _MEANS]
        # What is reported is chosen by these thresholds; those of segments say nothing of events.
        own = fitted["events" if recipe.inference.report == "events" and fitted.get("events") else "thresholds"]
        classes = tuple(
            _class_figures(label, found, own, fitted["unfitted"]) for label, found in segments["classes"].items()
        )
    right = metrics.get("recordings")
    if right is not None:
        figures.append(Figure("recordings named right", right["accuracy"], tuple(right["interval"])))
    if "events" in metrics:
        figures += [figure_of(metrics["events"]["detection"], key, name) for key, name in _OF_EVENTS]
        figures += figures_of_edges(metrics["events"].get("edges"), "events: ")
    figures += _of_episodes(metrics.get("episodes"))
    history = run.read_table("history.csv")
    measured = next((name for name in _SCORES if name in history and history[name].notna().any()), "padded_cmap")
    return Material(
        unit=f"segments of {recipe.inference.segment_s:g} s",
        figures=tuple(figures),
        classes=classes,
        curves=curves_of(history, "stage", measured),
        score_name=_SCORES[measured],
        confusion=None if scores is None or right is None else scores.confusion(),
        mistakes=_to_look_at(run, recipe, metrics, scores, most),
        band_hz=recipe.shown_band_hz,
        channel=recipe.data.channel,
        learned=recipe.learned,
    )


def _to_look_at(
    run: RunFolder, recipe: Any, metrics: Mapping[str, Any], scores: _Scores | None, most: int
) -> tuple[Mistake, ...]:
    """Choose events where the run reports those, and segments otherwise."""
    if recipe.inference.report == "events" and "events" in metrics and run.has("events.parquet"):
        split = str(metrics["judged_on"]["split"])
        return some_of_each(events_to_look_at(run, split, most, recipe.data.unnamed_labels), most, a_recording=4)
    return () if scores is None else some_of_each(list(scores.mistakes(most)), most)


def _class_figures(
    label: str, found: Mapping[str, Any], thresholds: Mapping[str, float], unfitted: Sequence[str]
) -> ClassFigures:
    figures = tuple(figure_of(found, key, name) for key, name in _OF_CLASS)
    return ClassFigures(
        label, found["n"], found.get("n_units", 0), figures, thresholds.get(label), label not in unfitted
    )


def _of_episodes(found: Mapping[str, Any] | None) -> list[Figure]:
    """Name the figures of each size of episodes and each rule; none where a rule could not answer."""
    if found is None:
        return []
    seen = "" if found["unseen"] else ", species that were trained on"
    return [
        Figure(f"{row['way']}-way {row['shots']}-shot, {TITLES[name]}{seen}", rule["accuracy"], tuple(rule["interval"]))
        for row in found["settings"]
        for name, rule in row.get("rules", {}).items()
        if "accuracy" in rule
    ]


class _Scores:
    """The scores of the judged segments, as the run keeps them."""

    def __init__(self, run: RunFolder, thresholds: Mapping[str, float], segment_s: float) -> None:
        from scipy.special import expit

        with np.load(run.file("predictions.npz")) as kept:
            predicted = kept["recording"].astype(str)
            self.starts = kept["start_s"].astype(float)
            self.scores = np.asarray(expit(kept["logits"].astype(np.float64)))
            self.targets = kept["targets"].astype(np.float64)
            self.classes = tuple(kept["classes"].astype(str))
        self.thresholds, self.segment_s = thresholds, segment_s
        self.places = RunRecordings(run)
        names = {name: self.places.name_of(name) for name in np.unique(predicted).tolist()}
        self.recordings = np.array([names[name] for name in predicted.tolist()], object)

    def mistakes(self, most: int) -> Iterator[Mistake]:
        """Yield them, the worst of either kind first; one of either kind for each segment."""
        # A secondary label is neither: the class may be faint.
        absent = np.where(self.targets == 0, self.scores, -np.inf)
        present = np.where(counted_labels(self.targets) > 0, self.scores, np.inf)
        for there, worst, order in (
            (False, absent.argmax(axis=1), np.argsort(-absent.max(axis=1), kind="stable")),
            (True, present.argmin(axis=1), np.argsort(present.min(axis=1), kind="stable")),
        ):
            chosen = absent if not there else present
            for row in order[: 20 * most]:
                if np.isfinite(chosen[row, worst[row]]):
                    yield self._mistake(int(row), int(worst[row]), there)

    def _mistake(self, row: int, k: int, there: bool) -> Mistake:
        highest = np.argsort(-self.scores[row], kind="stable")[:_SHOWN_SCORES]
        start = float(self.starts[row])
        return Mistake(
            self.places.place(str(self.recordings[row]), start, start + self.segment_s),
            self.classes[k],
            there,
            float(self.scores[row, k]),
            self.thresholds.get(self.classes[k]),
            tuple(self.classes[i] for i in np.flatnonzero(self.targets[row] > 0)),
            tuple((self.classes[i], float(self.scores[row, i])) for i in highest),
        )

    def confusion(self) -> dict[str, Any]:
        """Count the recordings by their class and the class of the highest mean score."""
        counts = np.zeros((len(self.classes), len(self.classes)), int)
        for name in dict.fromkeys(self.recordings):
            own = self.recordings == name
            true = counted_labels(self.targets[own]).max(axis=0).argmax()
            counts[true, self.scores[own].mean(axis=0).argmax()] += 1
        return {"rows": list(self.classes), "columns": list(self.classes), "counts": counts.tolist()}
