"""Events between the changes of a score: where it rises most an event begins, where it falls most it ends.

After the change-detection based sound event bounding boxes of Ebbers et al. (Interspeech 2024, arXiv:2406.04212): a
step filter (the mean of some frames less the mean of as many before) finds the changes; two events are one where the
score drops little between them. No threshold has a say in where an event begins and ends. `ecotf` and the recorder have
this very file.

Scores are counted in whole steps of 1/4096. So all sums are exact, and no bit depends on how the frames are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SCALE = 4096
_LEAST = 4  # in those steps: added to both scores before they are divided
_QUIET = 2  # a boundary with nothing on either side
_FAR = np.iinfo(np.int64).max


class FoundEvent(NamedTuple):
    """Seconds, the class's number, its mean score in the event, and the greatest of any class at its peak."""

    start_s: float
    end_s: float
    code: int
    score: float
    detection_score: float


class Change(NamedTuple):
    """The numbers of one class.

    ``step_s`` is the length of the step filter, both halves together. Two events are one where, in the gap, the score
    is neither ``drop`` lower than in one of them, nor lower by the factor ``ratio``; infinite for no such limit.
    """

    step_s: float
    drop: float
    ratio: float


class _Part(NamedTuple):
    """Frames in a row: how many, their sum, the least and the greatest, and any class's greatest where that is."""

    n: int = 0
    total: int = 0
    least: int = SCALE + 1
    most: int = -1
    any: int = -1

    def and_then(self, other: _Part) -> _Part:
        """Both together."""
        most, any_ = (self.most, self.any) if self.most >= other.most else (other.most, other.any)
        return _Part(self.n + other.n, self.total + other.total, min(self.least, other.least), most, any_)


class _Held(NamedTuple):
    """An event, in frames and seconds, that the next one may yet be a part of; the greatest score of its last part."""

    start: int
    start_s: float
    end_s: float
    frames: _Part
    last: int


class _Heard(NamedTuple):
    """Frames of one class that can be looked at now: boundary ``first + i`` has the change ``codes[i] * sizes[i]``."""

    first: int
    values: NDArray[np.int64]
    greatest: NDArray[np.int64]
    edges_s: NDArray[np.float64]
    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]


class ChangeStream:
    """The events of one recording from its frames as they come, in memory that does not grow with its length.

    Parameters
    ----------
    changes
        The numbers of each class.
    frame_s
        From one frame to the next.
    floor
        A class that is lower is not there: no event goes on over such a frame, and none has a lower score.
    shortest_s
        Shorter events are left out.
    longest_s
        An event that goes on for longer is cut. Nothing waits for longer than that.
    """

    def __init__(
        self, changes: Sequence[Change], frame_s: float, floor: float, shortest_s: float, longest_s: float
    ) -> None:
        self._frame_s, self._shortest_s = frame_s, shortest_s
        self._halves = [max(1, round(change.step_s / 2 / frame_s)) for change in changes]
        self._pad = max(self._halves, default=1)
        self._floor = max(1, round(floor * SCALE))
        longest = max(2, round(longest_s / frame_s))
        self._tracks = [_Track(change, self._floor, longest) for change in changes]
        # Frames from number `_base` on. Before the recording there is nothing, for as long as a filter can see.
        self._values = np.zeros((self._pad, len(changes)), np.int64)
        self._times = np.empty(0)
        self._base = -self._pad

    def push(self, scores: NDArray[np.floating], times: NDArray[np.float64]) -> list[FoundEvent]:
        """Take the next frames, ``[t, classes]``, and their middles in seconds; return the events that are settled."""
        if not len(times):
            return []
        if not len(self._times):
            self._times = times[0] + self._frame_s * np.arange(-self._pad, 0)
        steps = np.rint(np.asarray(scores, np.float64) * SCALE).astype(np.int64)
        self._values, self._times = np.concatenate([self._values, steps]), np.concatenate([self._times, times])
        return self._look(final=False)

    def finish(self) -> list[FoundEvent]:
        """End the recording; return its last events."""
        if not len(self._times):
            return []
        after = self._times[-1] + self._frame_s * np.arange(1, self._pad + 1)
        self._values = np.concatenate([self._values, np.zeros((self._pad, self._values.shape[1]), np.int64)])
        self._times = np.concatenate([self._times, after])
        return self._look(final=True)

    @property
    def settled_s(self) -> float:
        """Later events begin after this; seconds."""
        if not len(self._times) or not self._tracks:
            return 0.0
        return max(0.0, min(self._begins_s(track) for track in self._tracks))

    def _begins_s(self, track: _Track) -> float:
        if track.begins_s is not None:
            return track.begins_s
        # A boundary that was not looked at yet comes after the middle of the frame before it.
        return float(self._times[track.at - 1 - self._base]) if track.at else 0.0

    def _look(self, final: bool) -> list[FoundEvent]:
        """Go through all boundaries at which every filter sees what it needs."""
        n = self._base + len(self._values)
        edges_s = self._edges(final)
        sums = np.concatenate([np.zeros((1, self._values.shape[1]), np.int64), self._values.cumsum(axis=0)])
        loud = np.concatenate([np.zeros((1, sums.shape[1]), np.int64), (self._values >= self._floor).cumsum(axis=0)])
        greatest, found = self._values.max(axis=1, initial=0), []
        for code, (track, half) in enumerate(zip(self._tracks, self._halves, strict=True)):
            stop = n - self._pad + 1 if final else n - half + 1
            at = np.arange(track.at, stop) - self._base
            if not len(at):
                continue
            total, level = sums[:, code], loud[:, code]
            change = total[at + half] - 2 * total[at] + total[at - half]
            codes = np.where(level[at + half] == level[at - half], _QUIET, np.sign(change))
            frames = slice(track.at - self._base, stop - self._base - int(final))
            heard = _Heard(track.at, self._values[frames, code], greatest[frames], edges_s[at], codes, np.abs(change))
            for held in [*track.walk(heard), *(track.finish(heard) if final else [])]:
                score = held.frames.total / held.frames.n / SCALE
                if score * SCALE >= self._floor and held.end_s - held.start_s >= self._shortest_s - 1e-9:
                    found.append(FoundEvent(held.start_s, held.end_s, code, score, held.frames.any / SCALE))
        keep = min((track.at for track in self._tracks), default=n) - self._pad - 1
        drop = max(0, keep - self._base)
        self._values, self._times, self._base = self._values[drop:].copy(), self._times[drop:].copy(), self._base + drop
        return found

    def _edges(self, final: bool) -> NDArray[np.float64]:
        """The moment before each frame that is held, seconds: half way between two, by each frame's own time."""
        times = self._times
        before = np.concatenate([[times[0] - self._frame_s], times[:-1]])
        edges = (before + times) / 2
        if self._base <= 0:  # the first frame may reach out before the sound
            edges[: 1 - self._base] = max(0.0, float(edges[-self._base]))
        if final:
            edges[len(times) - self._pad] = times[len(times) - self._pad - 1] + self._frame_s / 2
        return np.asarray(edges)


class _Track:
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
        self._before, self._since = _Part(), _Part()  # frames since the last change, up to the best, and since
        self._gap = _Part()  # before the event, once its rise is over
        self._held: _Held | None = None

    @property
    def begins_s(self) -> float | None:
        """Where the first event begins that is not out yet; None where there is none."""
        if self._held is not None:
            return self._held.start_s
        return {1: self._best_s, -1: self._start_s}.get(self._state)

    def walk(self, heard: _Heard) -> list[_Held]:
        """Go through the boundaries; return the events that are over, and that nothing to come can be a part of."""
        out: list[_Held] = []
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

    def finish(self, heard: _Heard) -> list[_Held]:
        """End the recording at the last boundary."""
        out: list[_Held] = []
        self._conclude(len(heard.codes) - 1, heard, out)
        return out if self._held is None else [*out, self._held]

    def _run(self, kind: int, places: NDArray[np.intp], heard: _Heard, out: list[_Held]) -> None:
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
                self._before, self._since = self._before.and_then(self._since), _Part()
                self._begin_at(best, heard)
                n = int(np.searchsorted(places, best, side="right")) if self._state == 1 else n
            places = places[n:]

    def _turn(self, kind: int, place: int, heard: _Heard, out: list[_Held]) -> None:
        """Come to a boundary of a kind: perhaps the first one of a rise or fall."""
        if kind == self._state:
            return
        self._count(heard.first + place, heard)
        if kind == _QUIET:
            self._conclude(place, heard, out)
        elif kind == 1:
            if self._state == -1:
                self._conclude(place, heard, out)
            self._state, self._before, self._since = 1, self._before.and_then(self._since), _Part()
            self._begin_at(place, heard)
        elif self._state == 1:
            self._start, self._start_s, self._gap = self._best, self._best_s, self._before
            self._state, self._before, self._since = -1, self._since, _Part()
            self._begin_at(place, heard)

    def _begin_at(self, place: int, heard: _Heard) -> None:
        """Let this boundary be the one of the greatest change."""
        self._best, self._best_s = heard.first + place, float(heard.edges_s[place])
        self._size = int(heard.sizes[place])

    @property
    def _ends(self) -> int:
        """The boundary at which the event is cut if it goes on."""
        return _FAR if not self._state else (self._best if self._state == 1 else self._start) + self._longest

    def _cut(self, until: int, heard: _Heard, out: list[_Held]) -> None:
        """Cut what goes on for too long, up to a boundary."""
        while self._ends <= until:
            place, was_rising = self._ends - heard.first, self._state == 1
            self._count(self._ends, heard)
            self._conclude(place, heard, out)
            if was_rising:  # it goes on as another event, which is never joined with this one
                out += [] if self._held is None else [self._held]
                self._held, self._state, self._before, self._since = None, 1, _Part(), _Part()
                self._begin_at(place, heard)
                self._size = 0

    def _conclude(self, place: int, heard: _Heard, out: list[_Held]) -> None:
        """End the event: where its fall is steepest or, in a rise, here; from then on there is none."""
        if self._state == 1:
            self._start, self._start_s, self._gap = self._best, self._best_s, self._before
            self._before, self._since = self._since, _Part()
            self._ended(self._before, float(heard.edges_s[place]), heard.first + place, out)
        elif self._state == -1:
            self._ended(self._before, self._best_s, self._best, out)
        if self._state:
            self._state, self._before, self._since = 0, self._since, _Part()

    def _ended(self, frames: _Part, end_s: float, end: int, out: list[_Held]) -> None:
        """An event is over: it is part of the one before, or may have others as its parts."""
        if not frames.n:
            return
        held, gap = self._held, self._gap
        if held is not None and end - held.start <= self._longest and self._is_one(held.last, frames.most, gap.least):
            together = held.frames.and_then(gap).and_then(frames)
            self._held = _Held(held.start, held.start_s, end_s, together, frames.most)
            return
        out += [] if held is None else [held]
        self._held = _Held(self._start, self._start_s, end_s, frames, frames.most)

    def _is_one(self, left: int, right: int, gap: int) -> bool:
        """Whether the score drops so little between two events that they are one."""
        high = max(left, right)
        is_near = high - gap < self._change.drop * SCALE and high + _LEAST < self._change.ratio * (gap + _LEAST)
        return is_near and gap >= self._floor

    def _is_alone(self, held: _Held) -> bool:
        """Whether nothing to come can be a part of it, as the gap after it is too deep already, or it is too long."""
        gap, end = (self._gap, self._best) if self._state == -1 else (self._before, self.at)
        return end - held.start > self._longest or not self._is_one(held.last, 0, gap.least)

    def _count(self, until: int, heard: _Heard) -> None:
        """Count the frames before a boundary."""
        if until <= self.at:
            return
        here = slice(self.at - heard.first, until - heard.first)
        values = heard.values[here]
        peak = int(values.argmax())
        part = _Part(
            len(values), int(values.sum()), int(values.min()), int(values[peak]), int(heard.greatest[here][peak])
        )
        self.at = until
        if self._state:
            self._since = self._since.and_then(part)
        else:
            self._before = self._before.and_then(part)
