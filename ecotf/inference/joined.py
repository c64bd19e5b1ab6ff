"""Detections over the border of two recordings that follow each other without a gap, each as one row."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecotf.files import atomic_file
from ecotf.inference.formats import Call, csv_text
from ecotf.inference.ledger import Entry
from ecotf.inference.records import Record

NAME = "joined"
FILE = "joined.csv"
COLUMNS = ("recording", *Call._fields, "last_recording", "recordings", "gap_s")
_BORDER_S = 0.1  # a detection that ends so near to the end of its recording ends with it
_TOGETHER_S = 1.0  # times in names of files are whole seconds

_Kind = tuple[str, int | None]
_Place = tuple[str, int]


class _Row(NamedTuple):
    """What a detection became: over how many recordings it goes, the last of them, and what may lie between them."""

    call: Call
    last_recording: str
    recordings: int = 1
    gap_s: float | None = None


@dataclass(frozen=True)
class _Touching:
    """The detections that begin or end with a recording, by label and channel; places count the recording's calls."""

    duration_s: float
    begins: dict[_Kind, tuple[int, Call]]
    ends: dict[_Kind, tuple[int, Call]]


class _Times(NamedTuple):
    """When each recording with such a detection began, in seconds, and which follows which."""

    began: dict[str, float]
    next: dict[str, str]


class _Source:
    """The recordings of one recorder, in sixteen bytes each, and those with a detection at a border by name."""

    def __init__(self) -> None:
        self.starts, self.ends = array("d"), array("d")
        self.touching: list[tuple[float, str]] = []

    def pairs(self, touching: Mapping[str, _Touching]) -> Iterator[tuple[str, str]]:
        """Yield recordings with the one that follows; only where one alone does, and follows that one alone."""
        starts, ends, own = np.sort(self.starts), np.sort(self.ends), sorted(self.touching)
        for start_s, name in own:
            end_s = start_s + touching[name].duration_s
            at = bisect_left(own, (end_s - _TOGETHER_S, ""))
            if at == len(own) or own[at][0] > end_s + _TOGETHER_S or own[at][1] == name:
                continue
            if _near(starts, end_s) == 1 and _near(ends, own[at][0]) == 1:
                yield name, own[at][1]


def _near(sorted_s: np.ndarray, moment_s: float) -> int:
    low, high = np.searchsorted(sorted_s, [moment_s - _TOGETHER_S, np.nextafter(moment_s + _TOGETHER_S, np.inf)])
    return int(high - low)


def write_joined(folder: Path, records: Iterable[Record], entries: Iterable[Entry]) -> Path:
    """Write ``joined.csv`` with the rows of `joined_rows`."""
    path = folder / FILE
    with atomic_file(path) as partial, partial.open("wb") as file:
        header: list[tuple[object, ...]] = [COLUMNS]
        for rows in chain([header], joined_rows(records, entries)):
            file.write(csv_text(rows).encode("utf-8", "surrogateescape"))
    return path


def joined_rows(records: Iterable[Record], entries: Iterable[Entry]) -> Iterator[list[tuple[object, ...]]]:
    """Yield the rows of each record, as `COLUMNS`: all detections, and those that go on over a border as one.

    A recording follows another one where it begins when that one ends, to the second, of the same recorder (the serial
    number or, where none is known, the folder), and no other one begins or ends then. A detection goes on where one
    ends with the one recording and one of the same label and channel begins with the next. Memory holds the
    detections at borders, and sixteen bytes for each recording.

    Parameters
    ----------
    records
        What was found; gone through twice.
    entries
        The rows of the ledger, which say when recordings began.
    """
    touching = {record.recording: found for record in records if (found := _touching(record)) is not None}
    times = _times(touching, entries)
    goes_on, later = {}, set()
    for recording, following in times.next.items():
        ends, begins = touching[recording].ends, touching[following].begins
        for kind in ends.keys() & begins.keys():
            goes_on[recording, ends[kind][0]] = following, begins[kind][0]
            later.add((following, begins[kind][0]))
    calls = {
        (name, place): call
        for name, one in touching.items()
        for place, call in (*one.begins.values(), *one.ends.values())
    }
    for record in records:
        rows: list[tuple[object, ...]] = []
        for place, call in enumerate(record.calls):
            if (record.recording, place) in later:
                continue
            row = _Row(call, record.recording)
            here: _Place = record.recording, place
            while here in goes_on:
                there = goes_on[here]
                row = _joined(row, calls[there], here[0], there[0], record.recording, touching, times)
                here = there
            cells = (record.recording, *row.call, row.last_recording, row.recordings, row.gap_s)
            rows.append(tuple("" if value is None or value != value else value for value in cells))
        yield rows


def _joined(
    row: _Row, call: Call, last: str, following: str, first: str, touching: Mapping[str, _Touching], times: _Times
) -> _Row:
    """Return a detection with its part in the next recording; its end is counted from the start of the first."""
    since_s = times.began[following] - times.began[first]
    gap_s = times.began[following] - times.began[last] - touching[last].duration_s
    one = row.call
    made = one._replace(
        end_s=since_s + call.end_s,
        low_hz=min(one.low_hz, call.low_hz),
        high_hz=max(one.high_hz, call.high_hz),
        score=max(one.score, call.score),
        detection_score=max(one.detection_score, call.detection_score),
    )
    widest = gap_s if row.gap_s is None else max(row.gap_s, gap_s, key=abs)
    return _Row(made, following, row.recordings + 1, round(widest, 3))


def _touching(record: Record) -> _Touching | None:
    begins: dict[_Kind, tuple[int, Call]] = {}
    ends: dict[_Kind, tuple[int, Call]] = {}
    for place, call in enumerate(record.calls):
        kind = call.label, call.channel
        if call.start_s <= _BORDER_S:
            begins.setdefault(kind, (place, call))
        if call.end_s >= record.duration_s - _BORDER_S:
            ends[kind] = place, call
    return _Touching(record.duration_s, begins, ends) if begins or ends else None


def _times(touching: Mapping[str, _Touching], entries: Iterable[Entry]) -> _Times:
    began: dict[str, float] = {}
    sources: defaultdict[tuple[object, ...], _Source] = defaultdict(_Source)
    for entry in entries:
        if entry.began and entry.duration_s > 0:
            when = datetime.fromisoformat(entry.began)
            source = sources[entry.recorder or Path(entry.recording).parent, when.tzinfo is None]
            start_s = (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
            source.starts.append(start_s)
            source.ends.append(start_s + entry.duration_s)
            if entry.recording in touching:
                began[entry.recording] = start_s
                source.touching.append((start_s, entry.recording))
    return _Times(began, {one: other for source in sources.values() for one, other in source.pairs(touching)})
