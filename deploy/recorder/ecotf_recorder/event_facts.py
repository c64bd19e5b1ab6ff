"""Description of how events are found and get their edges in frequency: settings, and the numbers of each species."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecotf_recorder.scoring.band_edges import ClassEdges, EdgeSettings
from ecotf_recorder.scoring.change_track import Change
from ecotf_recorder.scoring.onset_points import Lengths, Onset, OnsetLimits

_FINDERS = ("peaks", "change_detection", "onsets")


@dataclass(frozen=True)
class EventFacts:
    """Settings for events at peaks of the scores of frames, as on the desktop."""

    smooth_s: float
    floor: float
    gap_s: float
    edge: float


@dataclass(frozen=True)
class ChangeFacts:
    """Settings for events between changes of the scores of frames, as on the desktop; the numbers of each species."""

    floor: float
    shortest_s: float
    longest_s: float
    changes: tuple[Change, ...]
    outvoted: float = 1.0


@dataclass(frozen=True)
class OnsetFacts:
    """Settings for events from onsets and lengths, as on the desktop; the numbers of each species."""

    limits: OnsetLimits
    lengths: Lengths
    onsets: tuple[Onset, ...]


@dataclass(frozen=True)
class BoxFacts:
    """Settings for the edges of events in frequency, as on the desktop; the numbers of each species."""

    settings: EdgeSettings
    classes: tuple[ClassEdges, ...]


AnyEvents = EventFacts | ChangeFacts | OnsetFacts


def read_events(events: Mapping[str, Any], n_species: int) -> AnyEvents:
    """Read the settings of an event finder; descriptions from before there were several name none.

    Raises
    ------
    KeyError, TypeError, ValueError
        They are not what is expected.
    """
    name = one_of(events.get("name", "peaks"), _FINDERS, "events.name")
    if name == "peaks":
        return EventFacts(*(float(events[name]) for name in EventFacts.__dataclass_fields__))
    if name == "onsets":
        onsets = [Onset(float(row["gap_s"]), _or_infinite(row["pull"])) for row in events["onsets"]]
        _require_rows("events.onsets", len(onsets), n_species)
        told = {**OnsetLimits._field_defaults, **events}  # descriptions from before lack what has a default
        limits = OnsetLimits(*(float(told[name]) for name in OnsetLimits._fields))
        lengths = Lengths(*(float(events["lengths"][name]) for name in Lengths._fields))
        for key in ("frames", "lowered", "outvoted"):
            _require_share(f"events.{key}", getattr(limits, key))
        widest = max(limits.step_s, *(onset.gap_s for onset in onsets))
        if not 0 < limits.longest_s <= 30 or not 0 < widest <= 60 or not 0 < lengths.octaves <= 30:
            raise ValueError(
                f"events.longest_s = {limits.longest_s:g}, events.step_s or gap_s = {widest:g}, lengths.octaves = "
                f"{lengths.octaves:g}; allowed: above 0, up to 30, 60 and 30"
            )
        return OnsetFacts(limits, lengths, tuple(onsets))
    changes = [
        Change(float(row["step_s"]), *(_or_infinite(row[name]) for name in ("drop", "ratio")))
        for row in events["changes"]
    ]
    _require_rows("events.changes", len(changes), n_species)
    floor, shortest_s, longest_s = (float(events[name]) for name in ("floor", "shortest_s", "longest_s"))
    outvoted = float(events.get("outvoted", 1.0))  # descriptions from before have none
    _require_share("events.outvoted", outvoted)
    return ChangeFacts(floor, shortest_s, longest_s, tuple(changes), outvoted)


def read_boxes(boxes: Mapping[str, Any] | None, band_hz: tuple[float, float], n_species: int) -> BoxFacts | None:
    """Read how events get their edges in frequency; descriptions from before that say nothing of it."""
    if boxes is None:
        return None
    rows, around_s = int(boxes["rows"]), float(boxes["around_s"])
    if rows < 1 or not around_s > 0 or not band_hz[0] < band_hz[1]:
        raise ValueError(f"boxes.rows = {rows}, boxes.around_s = {around_s:g}, band_hz = {list(band_hz)}")
    _require_rows("boxes.classes", len(boxes["classes"]), n_species)
    return BoxFacts(EdgeSettings(rows, around_s, *band_hz), tuple(map(ClassEdges.read, boxes["classes"])))


def one_of(value: Any, allowed: tuple[str, ...], name: str) -> str:
    """Require one of some words; raises `ValueError`."""
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}; allowed: {', '.join(allowed)}")
    return str(value)


def _or_infinite(value: float | None) -> float:
    return np.inf if value is None else float(value)


def _require_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} = {value:g}; allowed: from 0 to 1")


def _require_rows(name: str, rows: int, n_species: int) -> None:
    if rows != n_species:
        raise ValueError(f"{name} has {rows} rows for {n_species} species")
