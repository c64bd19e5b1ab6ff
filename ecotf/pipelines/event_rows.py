"""What annotations say of time, recording by recording: events, weak labels, what nobody knows, and nothing at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.coverage import WEAK, fully_annotated, says_yes
from ecotf.datasets.manifest import Manifest
from ecotf.pipelines.clip_places import in_front

if TYPE_CHECKING:
    import pandas as pd

_HERTZ = 1e-6


class Kind(IntEnum):
    """What a stretch of a recording is."""

    EVENT = 0  # a class, from its start to its end
    WEAK = 1  # a class, somewhere in it
    UNKNOWN = 2  # an event, and nobody knows of which class, or the network cannot hear it
    NOTHING = 3  # listened to, and none of the classes


@dataclass(frozen=True)
class EventRows:
    """Stretches of recordings, sorted by recording and start.

    Attributes
    ----------
    recording, start_s, end_s, code, kind
        Of each stretch, ``[n]``: index into ``recordings``, seconds, the class (-1 where it has none), and `Kind`.
    value
        Target of a weak label: 1, or less where it is behind the foreground.
    recordings, durations
        Names, and seconds ``[recordings]``.
    full
        bool ``[recordings]``: where there is no stretch, there is none of the classes.
    low_hz, high_hz
        The box of each stretch ``[n]`` in frequency; NaN where it has none.
    n_classes
        Classes that codes count.
    notes
        What people should know of the annotations, one line each.
    """

    recording: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    code: np.ndarray
    kind: np.ndarray
    value: np.ndarray
    low_hz: np.ndarray
    high_hz: np.ndarray
    recordings: tuple[str, ...]
    durations: np.ndarray
    full: np.ndarray
    n_classes: int
    notes: tuple[str, ...] = ()

    def of(self, recording: int) -> slice:
        """Return where the stretches of a recording are."""
        first, last = np.searchsorted(self.recording, [recording, recording + 1])
        return slice(int(first), int(last))

    @property
    def events(self) -> np.ndarray:
        """Return the places of all events, int ``[events]``."""
        return np.flatnonzero(self.kind == Kind.EVENT)


def event_rows(
    manifest: Manifest,
    recordings: Sequence[str],
    durations: Mapping[str, float],
    classes: Sequence[str],
    *,
    unnamed_labels: Sequence[str] = (),
    band_hz: tuple[float, float] = (0.0, np.inf),
    point_s: float = 0.05,
    secondary_value: float = 1.0,
    apart: bool = False,
) -> EventRows:
    """Read what the rows of a manifest say of time.

    Parameters
    ----------
    manifest
        With ignored labels made empty. A row without a label but with an end is a stretch of none of the classes.
    unnamed_labels
        Labels of events of unknown species: nobody knows which class is there.
    band_hz
        What the network hears. Boxes outside of it count as unknown.
    point_s
        Width of an event without a length, around its moment.
    secondary_value
        Target of a weak label that is not in the foreground.
    apart
        Events of one class that overlap stay several, for what can tell them apart; the same box twice is one.
    """
    number = {name: i for i, name in enumerate(recordings)}
    table = manifest.table[manifest.table["recording"].isin(number.keys())]
    full_names = fully_annotated(table)
    lengths = np.array([durations[name] for name in recordings], float)
    notes: list[str] = []
    code = table["label"].map({name: i for i, name in enumerate(classes)}).fillna(-1).to_numpy(int)
    recording = table["recording"].map(number).to_numpy(int)
    length = lengths[recording] if len(table) else np.empty(0)
    whole = table["end_s"].isna().to_numpy(bool)
    start, end = table["start_s"].to_numpy(float), np.where(whole, length, table["end_s"].to_numpy(float))
    kind = np.full(len(table), -1)
    kind[code >= 0] = Kind.EVENT
    kind[(code >= 0) & (whole | says_yes(table, WEAK))] = Kind.WEAK
    kind[table["label"].isin(unnamed_labels).to_numpy(bool)] = Kind.UNKNOWN
    kind[(table["label"] == "").to_numpy(bool) & ~whole] = Kind.NOTHING
    start, end = _with_widths(start, end, kind, point_s, notes)
    outside = (kind == Kind.EVENT) & _outside_band(table, band_hz)
    if outside.any():
        _note_outside(table["label"][outside], band_hz, notes)
        kind[outside] = Kind.UNKNOWN
    late = (kind >= 0) & (start >= length)
    if late.any():
        notes.append(f"events that begin after the end of their recording, left out: {int(late.sum())}")
    used = (kind >= 0) & ~late
    value = np.where(in_front(table), 1.0, secondary_value)
    full = np.array([name in full_names for name in recordings], bool)
    low, high = (table[name].to_numpy(float) for name in ("low_hz", "high_hz"))
    columns = [column[used] for column in (recording, start, np.minimum(end, length), code, kind, value, low, high)]
    recording, start, end, code, kind, value, low, high = _merged(columns, apart, notes)
    return EventRows(
        recording, start, end, code, kind, value, low, high, tuple(recordings), lengths, full, len(classes),
        tuple(notes),
    )  # fmt: skip


def _with_widths(
    start: np.ndarray, end: np.ndarray, kind: np.ndarray, point_s: float, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    points = (kind == Kind.EVENT) & (end <= start)
    if points.any():
        notes.append(f"events without a length, each given {point_s:g} s around its moment: {int(points.sum())}")
    half = np.where(points, point_s / 2, 0.0)
    return np.maximum(0.0, start - half), end + half


def _outside_band(table: pd.DataFrame, band_hz: tuple[float, float]) -> np.ndarray:
    low, high = table["low_hz"].to_numpy(float), table["high_hz"].to_numpy(float)
    return np.asarray((low >= band_hz[1] - _HERTZ) | (high <= band_hz[0] + _HERTZ))


def _note_outside(labels: pd.Series, band_hz: tuple[float, float], notes: list[str]) -> None:
    for label, n in labels.value_counts().items():
        notes.append(
            f"events of {label} outside of the band that is heard, {band_hz[0]:g} to {band_hz[1]:g} Hz, whose time is "
            f"unknown: {n}"
        )


def _merged(columns: list[np.ndarray], apart: bool, notes: list[str]) -> list[np.ndarray]:
    """Sort the stretches, and make one event of those of one class that overlap: frames cannot tell them apart."""
    recording, start, end, code, kind, *_, low, high = columns
    order = np.lexsort((start, code, kind, recording))
    kept: list[int] = []
    end, low, high = end.copy(), low.copy(), high.copy()
    merged = 0
    for i in order:
        last = kept[-1] if kept else -1
        same = last >= 0 and all(column[last] == column[i] for column in (recording, code, kind))
        overlap = same and kind[i] == Kind.EVENT and start[i] < end[last]
        merged += int(overlap)
        if overlap and not (apart and (start[i], end[i]) != (start[last], end[last])):
            end[last] = max(end[last], end[i])
            low[last], high[last] = np.fmin(low[last], low[i]), np.fmax(high[last], high[i])
        else:
            kept.append(int(i))
    if merged:
        learned = "onsets learn them apart, frames as one" if apart else "and are learned with it as one"
        notes.append(f"events that overlap another of their class, {learned}: {merged}")
    columns[2], columns[-2], columns[-1] = end, low, high
    index = np.array(kept, int)
    index = index[np.lexsort((start[index], recording[index]))] if len(index) else index
    return [column[index] for column in columns]
