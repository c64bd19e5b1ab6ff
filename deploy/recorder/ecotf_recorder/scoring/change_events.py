"""Events between changes of the scores of frames, by the rows of a model; and the choice between the event finders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.facts import ChangeFacts, SegmentFacts
from ecotf_recorder.scoring.change_points import ChangeStream, FoundEvent
from ecotf_recorder.scoring.frame_events import Event, EventStream


class Events(Protocol):
    """Events of one stretch of sound, from the frames of one row after the other."""

    def push(self, frames: NDArray[np.float32]) -> None:
        """Take the frames of the next row, ``[t, classes]``."""

    def settle(self, end_s: float | None) -> Sequence[Event | FoundEvent]:
        """Return the events that nothing to come can change; all of them where the sound ended at ``end_s``."""

    @property
    def settled_s(self) -> float:
        """Later events begin after this."""


def open_events(facts: SegmentFacts, longest_s: float) -> Events:
    """Make the finder that the model was exported with; the one of peaks cuts events at ``longest_s``."""
    if isinstance(facts.events, ChangeFacts):
        return ChangeEvents(facts, facts.events)
    return EventStream(facts, facts.events, longest_s)


class ChangeEvents:
    """A `ChangeStream`, as on the desktop, for rows of frames."""

    def __init__(self, facts: SegmentFacts, settings: ChangeFacts) -> None:
        self._facts = facts
        limits = settings.floor, settings.shortest_s, settings.longest_s
        self._stream = ChangeStream(settings.changes, facts.frame_s, *limits)
        self._waiting: list[NDArray[np.float32]] = []
        self._row = 0

    def push(self, frames: NDArray[np.float32]) -> None:
        """Take the frames of the next row, ``[t, classes]``."""
        self._waiting.append(frames)

    def settle(self, end_s: float | None) -> list[FoundEvent]:
        """Return the events that nothing to come can change; all of them where the sound ended at ``end_s``."""
        found: list[FoundEvent] = []
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
