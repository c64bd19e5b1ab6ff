"""The material of a report on a run of calls: figures, false alarms, wrong names, and calls that were missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.datasets.labels import CALL_LABEL, unnamed_among
from ecotf.evaluation.matching import nearest_calls, scored_tables
from ecotf.runs import RunFolder
from ecotf.runs.splits import read_splits
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

if TYPE_CHECKING:
    import pandas as pd

_OF_DETECTION = (
    ("ap", "detection: average precision"),
    ("precision", "detection: precision"),
    ("recall", "detection: recall"),
    ("f1", "detection: F1"),
)
_OF_SPECIES = (("macro_f1", "species: macro F1"), ("macro_f1_two_recordings", "species in two recordings: macro F1"))
_OF_CLASS = (("ap", "AP"), ("f1", "F1"), ("precision", "precision"), ("recall", "recall"))
_AROUND_S = 0.1
_SHOWN_SCORES = 3


def report_calls(folder: Path, most: int) -> Material:
    """Read what a report says of a run; raises `ConfigError` where the run cannot be read."""
    run = RunFolder.open(folder)
    recipe: Any = read_run_recipe(run.path)
    metrics, fitted = run.read_json("metrics.json"), run.read_json("thresholds.json")
    detection = judged_part(metrics, "detection", folder)
    figures = [figure_of(detection, key, name) for key, name in _OF_DETECTION]
    species = metrics["species"] or {"per_label": {}}
    figures += [figure_of(species, key, name) for key, name in _OF_SPECIES if key in species]
    files = metrics["file_majority_accuracy"]
    if files is not None:
        figures.append(figure_of(files, "accuracy", "majority species of a recording"))
    figures += figures_of_edges(metrics.get("edges"), "")
    classes = [_class_figures(label, found, fitted) for label, found in species["per_label"].items()]
    whole = {**detection, "support": detection["n_calls"], "threshold": fitted["thresholds"][CALL_LABEL]}
    whole["n_recordings"] = metrics["settings"]["n_recordings_with_calls"]
    return Material(
        unit="calls",
        figures=tuple(figures),
        classes=(_class_figures(CALL_LABEL, whole, fitted), *classes),
        curves=curves_of(run.read_table("history.csv"), "network", None),
        score_name="",
        confusion=metrics["confusion"],
        mistakes=some_of_each(list(_mistakes(run, recipe, metrics, fitted["thresholds"], most)), most, a_recording=4),
        band_hz=(recipe.front_end.low_hz, recipe.front_end.high_hz),
        channel=recipe.data.channel,
    )


def _class_figures(label: str, found: Mapping[str, Any], fitted: Mapping[str, Any]) -> ClassFigures:
    figures: tuple[Figure, ...] = tuple(figure_of(found, key, name) for key, name in _OF_CLASS)
    return ClassFigures(
        label, found["support"], found["n_recordings"], figures, found["threshold"], label not in fitted["unfitted"]
    )


def _mistakes(
    run: RunFolder, recipe: Any, metrics: Mapping[str, Any], thresholds: Mapping[str, float], most: int
) -> Iterator[Mistake]:
    """Yield the highest scores where no such call is, then the calls that got the lowest score of their own name."""
    places = RunRecordings(run)
    candidates = run.read_table("predictions.parquet")
    own = {name: places.name_of(name) for name in candidates["recording"].astype(str).unique()}
    names = read_splits(run.path).recordings_of(metrics["judged_on"]["split"])
    candidates = candidates.assign(recording=candidates["recording"].astype(str).map(own))
    candidates = candidates[candidates["recording"].isin(names)]
    annotations = places.manifest.table[places.manifest.table["recording"].isin(names)]
    if not names:
        return
    ignored = metrics["settings"]["ignored_labels"]
    found, calls = scored_tables(candidates, annotations, names, ignored)
    unnamed = unnamed_among(calls["label"].unique().tolist(), recipe.data.unnamed_labels)
    look = _Look(found, calls, annotations, thresholds, places)
    tolerance = recipe.evaluation.tolerance_s
    yield from look.false_alarms(tolerance, unnamed, most)
    yield from look.missed(tolerance, unnamed, most)


class _Look:
    """Candidates and calls of the judged recordings, side by side."""

    def __init__(
        self,
        found: pd.DataFrame,
        calls: pd.DataFrame,
        annotations: pd.DataFrame,
        thresholds: Mapping[str, float],
        places: RunRecordings,
    ) -> None:
        self.found, self.calls, self.annotations = found, calls, annotations
        self.thresholds, self.places = thresholds, places

    def false_alarms(self, tolerance_s: float, unnamed: list[str], most: int) -> Iterator[Mistake]:
        """Yield candidates of ``call`` where there is no call, and of species where no call of theirs is."""
        found, labels = self.found, self.found["label"].astype(str).to_numpy()
        near = nearest_calls(found, self.calls, tolerance_s)
        wrong = near < 0
        of_unknown = np.zeros(len(found), bool)
        if len(self.calls):
            of_unknown = (near >= 0) & np.isin(self.calls["label"].to_numpy(str)[np.maximum(near, 0)], unnamed)
        for label in np.unique(labels[labels != CALL_LABEL]):
            own = np.flatnonzero(labels == label)
            alike = self.calls[self.calls["label"] == label].reset_index(drop=True)
            wrong[own] = nearest_calls(found.iloc[own].reset_index(drop=True), alike, tolerance_s) < 0
        order = np.argsort(-found["score"].to_numpy(float), kind="stable")
        order = order[(wrong & ~of_unknown)[order]][: 20 * most]
        for row in found.iloc[order].to_dict("records"):
            yield self._mistake(row, str(row["label"]), False, row["score"])

    def missed(self, tolerance_s: float, unnamed: list[str], most: int) -> Iterator[Mistake]:
        """Yield calls by the highest score that their own name has there; those without a candidate first."""
        known = set(self.thresholds)
        middles = ((self.found["start_s"] + self.found["end_s"]) / 2).to_numpy(float)
        of_recording, labels = self.found["recording_index"].to_numpy(), self.found["label"].to_numpy(str)
        scored: list[tuple[float, Mapping[Any, Any], str]] = []
        for call in self.calls.to_dict("records"):
            label = str(call["label"])
            label = label if label in known and label not in unnamed else CALL_LABEL
            here = (of_recording == call["recording_index"]) & (labels == label)
            here &= (middles >= call["start_s"] - tolerance_s) & (middles <= call["end_s"] + tolerance_s)
            scored.append((float(self.found["score"].to_numpy()[here].max(initial=-1.0)), call, label))
        for score, missed, label in sorted(scored, key=lambda one: one[0])[: 20 * most]:
            yield self._mistake(missed, label, True, None if score < 0 else score)

    def _mistake(self, row: Mapping[Any, Any], label: str, there: bool, score: float | None) -> Mistake:
        start, end = float(row["start_s"]), float(row["end_s"])
        middle = (start + end) / 2
        recording = str(row["recording"])
        box = (start, end, float(row.get("low_hz", np.nan)), float(row.get("high_hz", np.nan)))
        here = self.annotations[
            (self.annotations["recording"] == recording)
            & (self.annotations["start_s"] <= end)
            & (self.annotations["end_s"] >= start)
        ]
        own = self.found[(self.found["recording"] == recording) & (self.found["start_s"] <= middle)]
        own = own[own["end_s"] >= middle].sort_values("score", ascending=False, kind="stable")
        own = own.drop_duplicates("label").head(_SHOWN_SCORES)
        return Mistake(
            self.places.place(recording, max(0.0, middle - _AROUND_S), middle + _AROUND_S, box),
            label,
            there,
            None if score is None else float(score),
            self.thresholds.get(label),
            tuple(sorted({str(name) for name in here["label"] if name})),
            tuple((str(name), float(value)) for name, value in zip(own["label"], own["score"], strict=True)),
        )
