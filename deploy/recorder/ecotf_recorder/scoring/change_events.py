"""Events from the rows of a model, by a stream that is the desktop's own; and the choice between the event finders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.event_facts import ChangeFacts, OnsetFacts
from ecotf_recorder.facts import SegmentFacts
from ecotf_recorder.scoring.change_points import ChangeStream, FoundEvent
from ecotf_recorder.scoring.frame_events import Event, EventStream
from ecotf_recorder.scoring.onset_points import OnsetEvent, OnsetStream


class Events(Protocol):
    """Events of one stretch of sound, from the frames of one row after the other."""

    def push(self, frames: NDArray[np.float32]) -> None:
        """Take the frames of the next row, ``[t, classes]``, or with what the model says of onsets."""

    def settle(self, end_s: float | None) -> Sequence[Event | FoundEvent | OnsetEvent]:
        """Return the events that nothing to come can change; all of them where the sound ended at ``end_s``."""

    @property
    def settled_s(self) -> float:
        """Later events begin after this."""


def open_events(facts: SegmentFacts, longest_s: float) -> Events:
    """Make the finder that the model was exported with; the one of peaks cuts events at ``longest_s``."""
    events = facts.events
    if isinstance(events, ChangeFacts):
        limits = events.floor, events.shortest_s, events.longest_s, events.outvoted
        return RowEvents(facts, ChangeStream(events.changes, facts.frame_s, *limits))
    if isinstance(events, OnsetFacts):
        stream = OnsetStream(events.onsets, facts.frame_s, events.lengths, events.limits)
        return RowEvents(facts, stream, reads_onsets=True)
    return EventStream(facts, events, longest_s)


class RowEvents:
    """A stream of the desktop's own, for rows of frames."""

    def __init__(self, facts: SegmentFacts, stream: ChangeStream | OnsetStream, reads_onsets: bool = False) -> None:
        self._facts, self._stream = facts, stream
        self._columns = len(facts.species) * (4 if reads_onsets else 1)
        self._waiting: list[NDArray[np.float32]] = []
        self._row = 0

    def push(self, frames: NDArray[np.float32]) -> None:
        """Take the frames of the next row, ``[t, classes]``, or with what the model says of onsets."""
        self._waiting.append(frames[:, : self._columns])

    def settle(self, end_s: float | None) -> list[FoundEvent | OnsetEvent]:
        """Return the events that nothing to come can change; all of them where the sound ended at ``end_s``."""
        found: list[FoundEvent | OnsetEvent] = []
        for frames in self._waiting:
            times = self._row * self._facts.segment_s + self._facts.frame_times_s
            heard = np.ones(len(times), bool) if end_s is None else times < end_s
            heard[: int(self._row == 0)] = True  # the first frame stays, however short the sound
            found += self._stream.push(frames[heard], times[heard])
            self._row += 1
        self._waiting.clear()
        return found if end_s is None else [*found, *self._stream.finish()]

    @property
    def settled_s(self) -> float:
        """Later events begin after this."""
        return self._stream.settled_s
