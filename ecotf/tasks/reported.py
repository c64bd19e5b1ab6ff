"""The material of a report: what a task says of one finished run, read from its folder alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.datasets.doubles import without_doubles
from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.errors import ConfigError
from ecotf.evaluation.edges_report import main_figures
from ecotf.runs import RunFolder

if TYPE_CHECKING:
    import pandas as pd

Bounds = tuple[float | None, float | None]
UNKNOWN: Bounds = (None, None)


@dataclass(frozen=True)
class Figure:
    """One figure of an evaluation with its 95 % interval; None where there was nothing to compute it from."""

    name: str
    value: float | None
    bounds: Bounds = UNKNOWN


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class.

    Attributes
    ----------
    n, n_recordings
        How many clips or calls of it were judged, in how many recordings or groups.
    figures
        The first is average precision.
    threshold, fitted
        From validation data; not ``fitted`` is a guess.
    """

    label: str
    n: int
    n_recordings: int
    figures: tuple[Figure, ...]
    threshold: float | None
    fitted: bool


@dataclass(frozen=True)
class Curve:
    """What a fit was like, epoch by epoch; NaN where it was not measured. ``score`` is empty where there is none."""

    stage: str
    loss: tuple[float, ...]
    valid_loss: tuple[float, ...]
    score: tuple[float, ...]


@dataclass(frozen=True)
class Place:
    """A part of a recording.

    Attributes
    ----------
    path
        None where the run's recordings no longer say where it is.
    start_s, end_s
        What is to be heard, seconds of real time.
    box
        ``start_s, end_s, low_hz, high_hz`` of the call inside; None where the whole part was judged.
    salvage
        Whether the recording is used although it is cut off.
    """

    recording: str
    path: Path | None
    time_expansion: float | None
    start_s: float
    end_s: float
    box: tuple[float, float, float, float] | None = None
    salvage: bool = False


@dataclass(frozen=True)
class Mistake:
    """A place where a score is wrong: high for a class that is not there, or low for one that is; or a hit.

    Attributes
    ----------
    score
        None where the model gave no candidate at all.
    threshold
        That of the class.
    truth
        All labels of the place; empty where nothing was annotated.
    scores
        The highest scores of the place.
    found
        It is no mistake: what is there was found.
    """

    place: Place
    label: str
    there: bool
    score: float | None
    threshold: float | None
    truth: tuple[str, ...]
    scores: tuple[tuple[str, float], ...]
    found: bool = False


@dataclass(frozen=True)
class Material:
    """What a task says of a run.

    Attributes
    ----------
    unit
        What is counted: ``segments`` of a length, or ``calls``.
    score_name
        Of the curves' score.
    confusion
        ``rows`` (truth), ``columns`` (named as) and ``counts``; None where places have several labels.
    mistakes
        The worst first: those of classes that are not there, then of classes that are; then hits, where a task has any.
    band_hz
        What the model hears.
    learned
        The sides of the split that the model has learned from.
    """

    unit: str
    figures: tuple[Figure, ...]
    classes: tuple[ClassFigures, ...]
    curves: tuple[Curve, ...]
    score_name: str
    confusion: Mapping[str, Any] | None
    mistakes: tuple[Mistake, ...]
    band_hz: tuple[float, float]
    channel: Any
    learned: tuple[str, ...] = ("train",)


def figure_of(values: Mapping[str, Any], key: str, name: str) -> Figure:
    """Read a figure and, beside it, its interval."""
    low, high = values.get(f"{key}_interval") or UNKNOWN
    return Figure(name, values.get(key), (low, high))


def figures_of_edges(edges: Mapping[str, Any] | None, prefix: str) -> list[Figure]:
    """Read the figures of where events begin and end; none of a run from before they were judged."""
    return [] if edges is None else [figure_of(v, "value", prefix + name) for name, v in main_figures(edges).items()]


def judged_part(metrics: Mapping[str, Any], key: str, where: Path) -> Mapping[str, Any]:
    """Return a part of the metrics; raises `ConfigError` where it was written by another version."""
    part = metrics.get(key)
    if not isinstance(part, Mapping):
        raise ConfigError(f"{where}: metrics.json has no {key!r}, it is of another version of ecotf; train again")
    return part


def curves_of(history: pd.DataFrame, by: str, score: str | None) -> tuple[Curve, ...]:
    """Cut the history at its fits, named by the column ``by``; epochs begin at the same number in each."""
    if not len(history):
        return ()
    begins = (history[by] != history[by].shift()) | (history["epoch"].astype(float).diff() <= 0)
    curves = []
    for _, own in history.groupby(begins.cumsum(), sort=False):
        loss, valid_loss = (tuple(own[name].astype(float)) for name in ("loss", "valid_loss"))
        scores = tuple(own[score].astype(float)) if score else ()
        curves.append(Curve(str(own[by].iloc[0]), loss, valid_loss, scores))
    return tuple(curves)


class RunRecordings:
    """The recordings of a run, called as in its ``manifest.csv`` and ``splits.csv``.

    Predictions call them as they were called when the run began, from a folder that may be gone.
    """

    def __init__(self, run: RunFolder) -> None:
        self.manifest: Manifest = without_doubles(read_manifest(run.file("manifest.csv"))).manifest
        self._root = run.step_facts("manifest").get("root", "")
        self._by_path = {os.path.normpath(self.manifest.path_of(name)): name for name in self.manifest.recordings}
        self._by_file: dict[str, list[str]] = {}
        for name in self.manifest.recordings:
            self._by_file.setdefault(os.path.basename(name), []).append(name)

    def name_of(self, predicted: str) -> str:
        """Return the name in the manifest of a recording of the predictions; where it is not known, the same name."""
        alike = self._by_file.get(os.path.basename(predicted), [])
        exact = self._by_path.get(os.path.normpath(os.path.join(self._root, predicted)))
        return exact or (alike[0] if len(alike) == 1 else predicted)

    def place(
        self, name: str, start_s: float, end_s: float, box: tuple[float, float, float, float] | None = None
    ) -> Place:
        """Make a place in a recording, by its name in the manifest."""
        if name not in set(self._by_path.values()):
            return Place(name, None, None, start_s, end_s, box)
        return Place(name, self.manifest.path_of(name), self.manifest.time_expansion_of(name), start_s, end_s, box)


def some_of_each(mistakes: Sequence[Mistake], most: int, a_recording: int = 2) -> tuple[Mistake, ...]:
    """Take up to half of ``most`` of either kind, in their order: each place once, few of one recording.

    Where there are hits, a quarter of ``most`` is theirs.
    """
    chosen: list[Mistake] = []
    seen: set[tuple[str, float]] = set()
    hits = most // 4 if any(mistake.found for mistake in mistakes) else 0
    wrong = most - hits
    for there, found, room in ((False, False, wrong - wrong // 2), (True, False, wrong // 2), (True, True, hits)):
        counts: dict[str, int] = {}
        for mistake in mistakes:
            place = mistake.place
            key = (place.recording, place.start_s)
            is_other = (mistake.there, mistake.found) != (there, found)
            if room <= 0 or is_other or key in seen or counts.get(place.recording, 0) >= a_recording:
                continue
            counts[place.recording] = counts.get(place.recording, 0) + 1
            seen.add(key)
            chosen.append(mistake)
            room -= 1
    return tuple(chosen)
