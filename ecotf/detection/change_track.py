"""The state of one class while its score is gone through: what rises, what falls, and the event before.

Scores are counted in whole steps of 1/4096. `ecotf` and the recorder have this very file.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SCALE = 4096
_LEAST = 4  # in those steps: added to both scores before they are divided
QUIET = 2  # a boundary with nothing on either side
_FAR = np.iinfo(np.int64).max


class Change(NamedTuple):
    """The numbers of one class.

    ``step_s`` is the length of the step filter, both halves together. Two events are one where, in the gap, the score
    is neither ``drop`` lower than in one of them, nor lower by the factor ``ratio``; infinite for no such limit.
    """

    step_s: float
    drop: float
    ratio: float


class Part(NamedTuple):
    """Frames in a row: how many, their sum, the least and the greatest, and any class's greatest where that is.

    ``wins`` is in how many of them no class is greater.
    """

    n: int = 0
    total: int = 0
    least: int = SCALE + 1
    most: int = -1
    any: int = -1
    wins: int = 0

    def and_then(self, other: Part) -> Part:
        """Both together."""
        most, any_ = (self.most, self.any) if self.most >= other.most else (other.most, other.any)
        n, total, wins = self.n + other.n, self.total + other.total, self.wins + other.wins
        return Part(n, total, min(self.least, other.least), most, any_, wins)


class Held(NamedTuple):
    """An event, in frames and seconds, that the next one may yet be a part of; the greatest score of its last part."""

    start: int
    start_s: float
    end_s: float
    frames: Part
    last: int


class Heard(NamedTuple):
    """Frames of one class that can be looked at now: boundary ``first + i`` has the change ``codes[i] * sizes[i]``."""

    first: int
    values: NDArray[np.int64]
    greatest: NDArray[np.int64]
    edges_s: NDArray[np.float64]
    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]


class Track:
    """One class: what it is in now (nothing, a rise, or the fall that ends an event), and the event before.

    Attributes
    ----------
    at
        The next boundary to look at; all frames before it are counted.
    """

    def __init__(self, change: Change, floor: int, longest: int) -> None:
        self._change, self._floor, self._longest = change, floor, longest
        self.at = 0
        self._state = 0  # 1 in a rise, -1 in a fall, 0 where there is no event
        self._best, self._best_s, self._size = 0, 0.0, 0  # the greatest change of this rise or fall
        self._start, self._start_s = 0, 0.0  # of the event, once its rise is over
        self._before, self._since = Part(), Part()  # frames since the last change, up to the best, and since
        self._gap = Part()  # before the event, once its rise is over
        self._held: Held | None = None

    @property
    def begins_s(self) -> float | None:
        """Where the first event begins that is not out yet; None where there is none."""
        if self._held is not None:
            return self._held.start_s
        return {1: self._best_s, -1: self._start_s}.get(self._state)

    def walk(self, heard: Heard) -> list[Held]:
        """Go through the boundaries; return the events that are over, and that nothing to come can be a part of."""
        out: list[Held] = []
        there = np.flatnonzero(heard.codes)
        kinds = heard.codes[there]
        firsts = np.flatnonzero(np.diff(kinds, prepend=0))
        for first, stop in zip(firsts, np.append(firsts, len(there))[1:], strict=True):
            self._run(int(kinds[first]), there[first:stop], heard, out)
        last = heard.first + len(heard.codes)
        self._cut(last - 1, heard, out)
        self._count(min(last, heard.first + len(heard.values)), heard)
        self.at = last
        if self._held is not None and self._is_alone(self._held):
            out.append(self._held)
            self._held = None
        return out

    def finish(self, heard: Heard) -> list[Held]:
        """End the recording at the last boundary."""
        out: list[Held] = []
        self._conclude(len(heard.codes) - 1, heard, out)
        return out if self._held is None else [*out, self._held]

    def _run(self, kind: int, places: NDArray[np.intp], heard: Heard, out: list[Held]) -> None:
        """Go through boundaries in a row (but for some without a change) that all rise, or fall, or are quiet."""
        while len(places):
            self._cut(heard.first + int(places[0]), heard, out)
            self._turn(kind, int(places[0]), heard, out)
            if self._state != kind:  # quiet, or a fall where there is no event
                return
            n = int(np.searchsorted(places, self._ends - heard.first))
            part = places[:n]
            best = int(part[np.argmax(heard.sizes[part])]) if n else 0
            if n and heard.sizes[best] > self._size:
                self._count(heard.first + best, heard)
                self._before, self._since = self._before.and_then(self._since), Part()
                self._begin_at(best, heard)
                n = int(np.searchsorted(places, best, side="right")) if self._state == 1 else n
            places = places[n:]

    def _turn(self, kind: int, place: int, heard: Heard, out: list[Held]) -> None:
        """Come to a boundary of a kind: perhaps the first one of a rise or fall."""
        if kind == self._state:
            return
        self._count(heard.first + place, heard)
        if kind == QUIET:
            self._conclude(place, heard, out)
        elif kind == 1:
            if self._state == -1:
                self._conclude(place, heard, out)
            self._state, self._before, self._since = 1, self._before.and_then(self._since), Part()
            self._begin_at(place, heard)
        elif self._state == 1:
            self._start, self._start_s, self._gap = self._best, self._best_s, self._before
            self._state, self._before, self._since = -1, self._since, Part()
            self._begin_at(place, heard)

    def _begin_at(self, place: int, heard: Heard) -> None:
        """Let this boundary be the one of the greatest change."""
        self._best, self._best_s = heard.first + place, float(heard.edges_s[place])
        self._size = int(heard.sizes[place])

    @property
    def _ends(self) -> int:
        """The boundary at which the event is cut if it goes on."""
        return _FAR if not self._state else (self._best if self._state == 1 else self._start) + self._longest

    def _cut(self, until: int, heard: Heard, out: list[Held]) -> None:
        """Cut what goes on for too long, up to a boundary."""
        while self._ends <= until:
            place, was_rising = self._ends - heard.first, self._state == 1
            self._count(self._ends, heard)
            self._conclude(place, heard, out)
            if was_rising:  # it goes on as another event, which is never joined with this one
                out += [] if self._held is None else [self._held]
                self._held, self._state, self._before, self._since = None, 1, Part(), Part()
                self._begin_at(place, heard)
                self._size = 0

    def _conclude(self, place: int, heard: Heard, out: list[Held]) -> None:
        """End the event: where its fall is steepest or, in a rise, here; from then on there is none."""
        if self._state == 1:
            self._start, self._start_s, self._gap = self._best, self._best_s, self._before
            self._before, self._since = self._since, Part()
            self._ended(self._before, float(heard.edges_s[place]), heard.first + place, out)
        elif self._state == -1:
            self._ended(self._before, self._best_s, self._best, out)
        if self._state:
            self._state, self._before, self._since = 0, self._since, Part()

    def _ended(self, frames: Part, end_s: float, end: int, out: list[Held]) -> None:
        """An event is over: it is part of the one before, or may have others as its parts."""
        if not frames.n:
            return
        held, gap = self._held, self._gap
        if held is not None and end - held.start <= self._longest and self._is_one(held.last, frames.most, gap.least):
            together = held.frames.and_then(gap).and_then(frames)
            self._held = Held(held.start, held.start_s, end_s, together, frames.most)
            return
        out += [] if held is None else [held]
        self._held = Held(self._start, self._start_s, end_s, frames, frames.most)

    def _is_one(self, left: int, right: int, gap: int) -> bool:
        """Whether the score drops so little between two events that they are one."""
        high = max(left, right)
        is_near = high - gap < self._change.drop * SCALE and high + _LEAST < self._change.ratio * (gap + _LEAST)
        return is_near and gap >= self._floor

    def _is_alone(self, held: Held) -> bool:
        """Whether nothing to come can be a part of it, as the gap after it is too deep already, or it is too long."""
        gap, end = (self._gap, self._best) if self._state == -1 else (self._before, self.at)
        return end - held.start > self._longest or not self._is_one(held.last, 0, gap.least)

    def _count(self, until: int, heard: Heard) -> None:
        """Count the frames before a boundary."""
        if until <= self.at:
            return
        here = slice(self.at - heard.first, until - heard.first)
        values, greatest = heard.values[here], heard.greatest[here]
        peak, wins = int(values.argmax()), int((values == greatest).sum())
        part = Part(len(values), int(values.sum()), int(values.min()), int(values[peak]), int(greatest[peak]), wins)
        self.at = until
        if self._state:
            self._since = self._since.and_then(part)
        else:
            self._before = self._before.and_then(part)
