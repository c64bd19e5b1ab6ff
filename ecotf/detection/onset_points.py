"""Events from where a network says that they begin, and how long they are: calls may overlap, or follow at once.

An onset is a peak of the onset score. Its event ends where the network says that one ends and where the class's own
score falls, as near as may be to the length that the network says. After Voxaboxen (Mahon et al. 2025,
arXiv:2503.02389), whose events have a length for each onset; here the end is fused with the scores of frames. A note
within a call is an onset, too, so what shares much with a better event has a lower score ("Soft-NMS", Bodla et al.
2017, arXiv:1704.04503). `ecotf` and the recorder have this very file.

All numbers of frames are counted in whole steps of 1/4096. So sums are exact, and no bit depends on how frames are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SCALE = 4096
_BLOCK = 256
_FARTHEST = 4  # an end lies no farther from its onset than so many of the lengths that are said


class OnsetEvent(NamedTuple):
    """Seconds, the class's number, its score, and the greatest of any class in the event."""

    start_s: float
    end_s: float
    code: int
    score: float
    detection_score: float


class Onset(NamedTuple):
    """The numbers of one class.

    ``gap_s``: of two onsets that are closer, the higher one counts. ``pull``: an end that is an octave
    away from the length must score so much more; infinite for the length alone.
    """

    gap_s: float
    pull: float


class Lengths(NamedTuple):
    """What a length of 0 means, in seconds, and how many octaves above that one of 1 is."""

    least_s: float
    octaves: float


class OnsetLimits(NamedTuple):
    """Of all classes.

    ``floor``: the lowest score of an onset, and of an event. ``shortest_s``, ``longest_s``: an event is made so long,
    at least and at most. ``overlap``: of two events of a class that share more (of what they cover together), the one
    with the higher score counts. ``step_s``: the length of the step filter that finds the fall of a score, both halves
    together. ``frames``: how much the mean score of its frames counts in the score of an event, from 0 to 1; its onset
    counts the rest (a geometric mean). ``lowered``: an event that shares a part of its time with a better one of its
    class loses ``lowered`` times that part of its score. ``outvoted``: what the score of an event is multiplied by if
    another class is greater in most of its frames.
    """

    floor: float
    shortest_s: float
    longest_s: float
    overlap: float
    step_s: float
    frames: float = 0.5  # so it was in descriptions that do not say
    lowered: float = 0.0
    outvoted: float = 1.0


class OnsetStream:
    """The events of one recording from its frames as they come, in memory that does not grow with its length.

    Parameters
    ----------
    onsets
        The numbers of each class.
    frame_s
        From one frame to the next.
    """

    def __init__(self, onsets: Sequence[Onset], frame_s: float, lengths: Lengths, limits: OnsetLimits) -> None:
        self._frame_s, self._lengths, self._limits = frame_s, lengths, limits
        self._classes = len(onsets)
        self._gaps = [max(1, round(onset.gap_s / frame_s)) for onset in onsets]
        self._pulls = [onset.pull * SCALE for onset in onsets]
        self._pad = max(self._gaps, default=1)
        self._longest = max(2, int(np.ceil(limits.longest_s / frame_s)))
        self._half = max(1, round(limits.step_s / 2 / frame_s))
        self._values = np.zeros((self._pad, 4, self._classes), np.int64)  # from frame number `_base` on
        self._times = np.empty(0)
        self._base = -self._pad
        self._at = 0  # onsets before this frame are known
        self._known: list[tuple[int, OnsetEvent]] = []  # with the frame of the onset, until nothing depends on it
        self._out = 0  # events whose onset is before this frame are out

    def push(self, scores: NDArray[np.floating], times: NDArray[np.float64]) -> list[OnsetEvent]:
        """Take the next frames, ``[t, 4 classes]`` (scores, onsets, ends, lengths), and their middles in seconds.

        Returns
        -------
        The events that are settled, in order of their onsets.
        """
        if not len(times):
            return []
        if not len(self._times):
            self._times = times[0] + self._frame_s * np.arange(-self._pad, 0)
        found = []
        for at in range(0, len(times), _BLOCK):  # so that few events are compared with each other
            steps = np.rint(np.asarray(scores[at : at + _BLOCK], np.float64) * SCALE).astype(np.int64)
            self._values = np.concatenate([self._values, steps.reshape(len(steps), 4, self._classes)])
            self._times = np.concatenate([self._times, times[at : at + _BLOCK]])
            found += self._look(final=False)
        return found

    def finish(self) -> list[OnsetEvent]:
        """End the recording; return its last events."""
        return self._look(final=True) if len(self._times) else []

    @property
    def settled_s(self) -> float:
        """Later events begin after this; seconds."""
        if not len(self._times) or self._out - 1 < self._base:
            return 0.0
        return max(0.0, float(self._times[self._out - 1 - self._base]))

    def _look(self, final: bool) -> list[OnsetEvent]:
        n = self._base + len(self._values)
        known_to = n if final else max(self._at, n - self._longest - self._half - self._pad)
        for code in range(self._classes):
            self._known += self._events(code, known_to, n)
        self._at = known_to
        self._known.sort(key=lambda one: (one[0], one[1].code))
        out_to = n if final else max(self._out, known_to - self._longest)
        ready = [self._beside_others(event) for at, event in self._known if self._out <= at < out_to]
        self._out = out_to
        self._known = [one for one in self._known if one[0] >= out_to - self._longest - 1]
        drop = max(0, min(self._at, self._out) - self._pad - self._base - 1)
        self._values, self._times = self._values[drop:].copy(), self._times[drop:].copy()
        self._base += drop
        return [event for event in ready if event is not None]

    def _events(self, code: int, stop: int, n: int) -> list[tuple[int, OnsetEvent]]:
        """Make the events of a class whose onsets are from `_at` to ``stop``, with the frames of those."""
        gap, first = self._gaps[code], self._at - self._base
        onset = self._values[:, 1, code]
        near = np.concatenate([onset, np.full(gap, -1, np.int64)])  # nothing is higher beyond the end
        own = onset[first : stop - self._base]
        high = own >= max(1, round(self._limits.floor * SCALE))
        for step in range(1, gap + 1):
            if not high.any():
                return []
            # Of two alike the first one counts.
            high &= own > onset[first - step : first - step + len(own)]
            high &= own >= near[first + step : first + step + len(own)]
        made = [(self._base + first + int(at), self._event(code, first + int(at), n)) for at in np.flatnonzero(high)]
        return [(at, event) for at, event in made if event.score >= self._limits.floor]

    def _event(self, code: int, at: int, n: int) -> OnsetEvent:
        limits, values, last = self._limits, self._values[:, 0, code], n - self._base
        said = self._lengths.least_s * 2 ** (self._lengths.octaves * int(self._values[at, 3, code]) / SCALE)
        length_s = min(max(said, limits.shortest_s, self._frame_s), limits.longest_s)
        start_s = self._begin(code, at, last)
        end_s = self._end(code, at, last, start_s, length_s)
        until = max(at + 1, min(last, at + round((end_s - start_s) / self._frame_s)))
        inside = self._values[at:until]
        mean, onset = int(values[at:until].sum()) / (until - at), int(self._values[at, 1, code])
        is_outvoted = 2 * int((inside[:, 0].max(axis=1) > values[at:until]).sum()) > until - at
        score = mean**limits.frames * onset ** (1 - limits.frames) / SCALE * (limits.outvoted if is_outvoted else 1.0)
        greatest = int(inside[:, 0].max()) / SCALE
        end_s = min(end_s, start_s + limits.longest_s, float(self._times[-1]) + self._frame_s / 2)
        return OnsetEvent(start_s, end_s, code, float(score), max(float(score), greatest))

    def _begin(self, code: int, at: int, last: int) -> float:
        """Return where an event begins: between the frames around its onset, by how much each of them is one."""
        return max(0.0, self._between(max(0, at - 1), min(last, at + 2), self._values[:, 1, code]))

    def _end(self, code: int, at: int, last: int, start_s: float, length_s: float) -> float:
        """Return where an event ends: the best moment by what is said of ends, the fall of the score, and length.

        Moments lie between frames. There a half of the fall, and the greater end of the two frames, count together.
        """
        pull, half = self._pulls[code], self._half
        shortest_s = max(self._limits.shortest_s, self._frame_s)
        if not np.isfinite(pull):
            return start_s + length_s
        until = min(last, at + self._longest, at + 1 + int(np.ceil(_FARTHEST * length_s / self._frame_s)))
        places = np.arange(at + 1, until + 1)
        # Frames from `at` - half to `until` + half, of nothing where there are none; and their sums from the first on.
        values = np.zeros(until - at + 2 * half, np.int64)
        low, high = max(0, at - half), min(last, until + half)
        values[low - (at - half) :][: high - low] = self._values[low:high, 0, code]
        sums = np.concatenate([[0], values.cumsum()])
        here = places - at + half
        fall = 2 * sums[here] - sums[here - half] - sums[here + half]
        ends = np.append(self._values[at : until + 1, 2, code], 0)
        moments_s = self._times[places - 1] + self._frame_s / 2
        octaves = np.abs(np.log2(np.maximum(moments_s - start_s, 1e-3) / length_s))
        # In whole steps, so that rounding of the logarithm cannot choose.
        gains = np.maximum(ends[places - 1 - at], ends[places - at]) + np.rint(fall / (2 * half) - pull * octaves)
        place = int(places[gains.argmax()])
        low, high = max(at, place - 2), min(last, place + 2)
        around = self._values[low:high, 2, code]
        end_s = self._between(low, high, self._values[:, 2, code]) if around.any() else float(moments_s[place - at - 1])
        return max(end_s, start_s + shortest_s)

    def _between(self, low: int, high: int, values: NDArray[np.int64]) -> float:
        """Return the moment between frames, by how much each says of it."""
        weights = values[low:high].astype(np.float64)
        return float((weights * self._times[low:high]).sum() / weights.sum())

    def _beside_others(self, event: OnsetEvent) -> OnsetEvent | None:
        """Return an event with its score beside the better ones of its class; None where one of them is the same call.

        Better is a higher score, or the same and an earlier beginning.
        """
        most = 0.0
        for _, other in self._known:
            if other.code == event.code and (other.score, -other.start_s) > (event.score, -event.start_s):
                shared = min(event.end_s, other.end_s) - max(event.start_s, other.start_s)
                both = max(event.end_s, other.end_s) - min(event.start_s, other.start_s)
                most = max(most, shared / both)
        if most > self._limits.overlap:
            return None
        score = event.score * (1 - self._limits.lowered * most)
        return event._replace(score=score) if score >= self._limits.floor else None
