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

from ecotf.detection.change_track import QUIET, SCALE, Change, Heard, Track


class FoundEvent(NamedTuple):
    """Seconds, the class's number, its mean score in the event, and the greatest of any class at its peak."""

    start_s: float
    end_s: float
    code: int
    score: float
    detection_score: float


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
    outvoted
        The score of an event is multiplied by this where another class is greater in most of its frames.
    """

    def __init__(
        self,
        changes: Sequence[Change],
        frame_s: float,
        floor: float,
        shortest_s: float,
        longest_s: float,
        outvoted: float = 1.0,
    ) -> None:
        self._frame_s, self._shortest_s, self._outvoted = frame_s, shortest_s, outvoted
        self._halves = [max(1, round(change.step_s / 2 / frame_s)) for change in changes]
        self._pad = max(self._halves, default=1)
        self._floor = max(1, round(floor * SCALE))
        longest = max(2, round(longest_s / frame_s))
        self._tracks = [Track(change, self._floor, longest) for change in changes]
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

    def _begins_s(self, track: Track) -> float:
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
            codes = np.where(level[at + half] == level[at - half], QUIET, np.sign(change))
            here = slice(track.at - self._base, stop - self._base - int(final))
            heard = Heard(track.at, self._values[here, code], greatest[here], edges_s[at], codes, np.abs(change))
            for held in [*track.walk(heard), *(track.finish(heard) if final else [])]:
                frames = held.frames
                score = frames.total / frames.n / SCALE * (self._outvoted if 2 * frames.wins < frames.n else 1.0)
                if score * SCALE >= self._floor and held.end_s - held.start_s >= self._shortest_s - 1e-9:
                    found.append(FoundEvent(held.start_s, held.end_s, code, score, frames.any / SCALE))
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
