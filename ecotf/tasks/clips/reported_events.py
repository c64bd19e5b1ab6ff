"""The events of a run that people should look at: false alarms, what was missed, and hits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.datasets.coverage import WEAK, says_yes
from ecotf.datasets.labels import CALL_LABEL
from ecotf.evaluation.hit_rules import Overlap
from ecotf.evaluation.matching import match_detections
from ecotf.runs import RunFolder
from ecotf.runs.splits import read_splits
from ecotf.tasks.reported import Mistake, RunRecordings

if TYPE_CHECKING:
    import pandas as pd

_IOU = 0.3
_AROUND_S = 1.0
_SHOWN_SCORES = 3


def events_to_look_at(run: RunFolder, split: str, most: int, unnamed_labels: Sequence[str]) -> list[Mistake]:
    """List the highest scores where no such event is, then the events of the lowest scores, then the best hits.

    A detection is a hit where it and an annotation of its class share 0.3 of what they cover together, one for one.
    Where an event of unknown species is annotated, nothing is a false alarm.
    """
    places, thresholds = RunRecordings(run), run.read_json("thresholds.json")["events"]
    found = run.read_table("events.parquet")
    found = found[found["label"].astype(str) != CALL_LABEL]
    own = {name: places.name_of(name) for name in found["recording"].astype(str).unique()}
    found = found.assign(recording=found["recording"].astype(str).map(own), label=found["label"].astype(str))
    names, table = read_splits(run.path).recordings_of(split), places.manifest.table
    found = found[found["recording"].isin(names)]
    table = table[table["recording"].isin(names) & table["end_s"].notna() & ~says_yes(table, WEAK)]
    truth = table[table["label"].isin(thresholds)].reset_index(drop=True)
    found = found.assign(row=match_detections(found, truth, Overlap(_IOU), by_label=True))  # of truth, or -1
    alarms, missed, hits = [], [], []
    for (recording, label), (events, annotated) in _both(found, truth):
        unknown = table[(table["recording"] == recording) & table["label"].isin(list(unnamed_labels))]
        look = _Look(places, str(recording), str(label), found, table, thresholds)
        for event in events.to_dict("records"):
            if event["row"] >= 0 and event["score"] >= thresholds[label]:
                hits.append(look.at(event, True, event["score"], found=True))
            elif event["row"] < 0 and not _touches(unknown, event):
                alarms.append(look.at(event, False, event["score"]))
        scores = dict(zip(events["row"], events["score"].astype(float), strict=True))
        for row, event in zip(annotated.index, annotated.to_dict("records"), strict=True):
            score = scores.get(row)
            if score is None or score < thresholds[label]:
                missed.append(look.at(event, True, score))
    alarms.sort(key=lambda one: -(one.score or 0.0))
    missed.sort(key=lambda one: -1.0 if one.score is None else one.score)
    hits.sort(key=lambda one: -(one.score or 0.0))
    return [one for kind in (alarms, missed, hits) for one in kind[: 20 * most]]


def _both(found: pd.DataFrame, truth: pd.DataFrame) -> Iterator[tuple[Any, tuple[pd.DataFrame, pd.DataFrame]]]:
    """Yield what is found and what is annotated of a class in a recording, the highest score first."""
    by = ["recording", "label"]
    events, annotated = dict(list(found.groupby(by))), dict(list(truth.groupby(by)))
    for key in dict.fromkeys([*events, *annotated]):
        own = events.get(key, found[:0]).sort_values("score", ascending=False, kind="stable")
        yield key, (own, annotated.get(key, truth[:0]))


def _touches(table: pd.DataFrame, event: Mapping[Any, Any]) -> bool:
    return bool(((table["start_s"] < event["end_s"]) & (table["end_s"] > event["start_s"])).any())


class _Look:
    """What is found and annotated around an event of one class in one recording."""

    def __init__(
        self, places: RunRecordings, recording: str, label: str, found: pd.DataFrame, truth: pd.DataFrame,
        thresholds: Mapping[str, float],
    ) -> None:  # fmt: skip
        self._places, self._recording, self._label, self._thresholds = places, recording, label, thresholds
        self._found, self._truth = found[found["recording"] == recording], truth[truth["recording"] == recording]

    def at(self, event: Mapping[Any, Any], there: bool, score: float | None, found: bool = False) -> Mistake:
        start_s, end_s = float(event["start_s"]), float(event["end_s"])
        box = (start_s, end_s, float(event.get("low_hz", np.nan)), float(event.get("high_hz", np.nan)))
        near = self._found[(self._found["start_s"] < end_s) & (self._found["end_s"] > start_s)]
        near = near.sort_values("score", ascending=False, kind="stable").drop_duplicates("label").head(_SHOWN_SCORES)
        here = self._truth[(self._truth["start_s"] < end_s) & (self._truth["end_s"] > start_s)]
        return Mistake(
            self._places.place(self._recording, max(0.0, start_s - _AROUND_S), end_s + _AROUND_S, box),
            self._label,
            there,
            None if score is None else float(score),
            self._thresholds.get(self._label),
            tuple(sorted({str(name) for name in here["label"] if name})),
            tuple((str(name), float(value)) for name, value in zip(near["label"], near["score"], strict=True)),
            found,
        )
