"""From scores of frames to events as they come: peaks of each class's smoothed score, with the stretch around each.

The desktop looks at a whole recording (`ecotf.detection.frame_events`). An event depends on the stretch in which the
score stays above its own edge, and on near peaks, on nothing else. So it is settled as soon as that stretch is over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.event_facts import EventFacts
from ecotf_recorder.facts import SegmentFacts

_NEAR = 4  # gaps: peaks that are too close put out each other in a chain, which is never longer than that


class Event(NamedTuple):
    """Seconds from the beginning of the stretch, the class's number, its score at the peak, and any class's there."""

    start_s: float
    end_s: float
    code: int
    score: float
    detection_score: float


class _Peak(NamedTuple):
    """Position among all frames, left and right edge in frames, whether both are known, height."""

    at: int
    left: float
    right: float
    is_closed: bool
    height: float


class EventStream:
    """The events of one stretch of sound.

    Parameters
    ----------
    longest_s
        An event that goes on for longer is cut.
    """

    def __init__(self, facts: SegmentFacts, settings: EventFacts, longest_s: float) -> None:
        self._facts, self._config, config = facts, settings, settings
        sigma = config.smooth_s / facts.frame_s
        self._radius = int(4 * sigma + 0.5) if config.smooth_s else 0
        weights = np.exp(-0.5 / max(sigma * sigma, 1e-300) * np.arange(-self._radius, self._radius + 1) ** 2)
        self._taps = (weights / weights.sum())[self._radius :]
        self._distance = max(1, round(config.gap_s / facts.frame_s))
        self._near = _NEAR * self._distance
        self._longest = max(4 * self._near, round(longest_s / facts.frame_s))
        self._frames = np.empty((0, len(facts.species)), np.float64)
        self._base = 0  # frames before those that are held
        self._done = 0  # peaks before this frame are out

    def push(self, frames: NDArray[np.float32]) -> None:
        """Take the frames of the next row, ``[t, classes]``."""
        of_classes = frames[:, : self._frames.shape[1]]  # what a model says of onsets stands behind them
        self._frames = np.concatenate([self._frames, of_classes.astype(np.float64)])

    @property
    def settled_s(self) -> float:
        """Later events begin after this: what is out now reaches as far, at least what is held begins there."""
        return self._middle(self._base) if self._base else 0.0  # an event may begin before the middle of the first

    def settle(self, end_s: float | None) -> list[Event]:
        """The events that nothing to come can change; all of them where the sound ended at ``end_s``."""
        final = end_s is not None
        if end_s is not None:
            self._cut(end_s)
        n = len(self._frames)
        first = 0 if self._base == 0 else self._radius  # smoothed values from here to `last` are as they will stay
        last = n if final else n - self._radius
        if last <= first:
            return []
        smooth = self._smoothed()[first:last]
        start, end = self._base + first, self._base + last
        loud = np.flatnonzero(smooth.max(axis=0) >= max(self._config.floor, 1e-12))
        peaks = {int(code): self._peaks(smooth[:, code], start, final) for code in loud}
        open_ones = [peak for kept in peaks.values() for peak, _ in kept if not peak.is_closed]
        done = end if final else max(self._done, min([end - self._near, *(peak.at for peak in open_ones)]))
        if not final and end - self._base > self._longest:
            done = max(done, end - self._longest // 2)
        found = [
            self._event(peak, code, end if final else None, float(smooth[peak.at - start].max()))
            for code, kept in peaks.items()
            for peak, is_kept in kept
            if is_kept and self._done <= peak.at < done
        ]
        self._done = done
        # A peak to come may begin where its class last was quiet.
        quiet = smooth <= self._config.floor * self._config.edge
        since = np.where(quiet.any(axis=0), len(smooth) - 1 - quiet[::-1].argmax(axis=0), 0)
        waiting = [int(peak.left) for kept in peaks.values() for peak, _ in kept if peak.at >= done]
        left = min([done, start + int(since.min()), *waiting])
        keep = max(self._base, left - self._near - 2 * self._radius - 2)
        keep = max(keep, end - self._longest) if not final else keep
        self._frames, self._base = self._frames[max(0, keep - self._base) :].copy(), max(self._base, keep)
        return found

    def _cut(self, end_s: float) -> None:
        """Leave out frames beyond the end; the first one stays."""
        at = self._base + np.arange(len(self._frames))
        rows, inside = np.divmod(at, len(self._facts.frame_times_s))
        heard = rows * self._facts.segment_s + self._facts.frame_times_s[inside] < end_s
        self._frames = self._frames[: max(int(self._base == 0), int(heard.sum()))]

    def _smoothed(self) -> NDArray[np.float64]:
        """A Gaussian over the frames, beyond the ends of which the first and the last go on, as scipy does it."""
        radius, n = self._radius, len(self._frames)
        if not radius:
            return self._frames
        padded = self._frames[np.clip(np.arange(-radius, n + radius), 0, n - 1)]
        out = self._taps[0] * padded[radius : radius + n]
        for i in range(radius, 0, -1):  # from the outside in, the order in which scipy adds
            out += self._taps[i] * (padded[radius - i : radius - i + n] + padded[radius + i : radius + i + n])
        return np.asarray(out)

    def _peaks(self, track: NDArray[np.float64], start: int, final: bool) -> list[tuple[_Peak, bool]]:
        """All peaks that stand their distance, and which of them are no ripple of a higher one."""
        config = self._config
        begun, over = start == 0, final
        around = np.concatenate([[0.0] * begun, track, [0.0] * over])
        offset = start - int(begun)
        at = _local_maxima(around)
        at = _apart(around, at[around[at] >= max(config.floor, 1e-12)], self._distance)
        found: list[_Peak] = []
        for peak in at:
            height = around[peak]
            left, right, is_closed = _width(around, int(peak), height * config.edge)
            is_closed = is_closed and (final or right <= len(around) - 1 - self._near)
            found.append(_Peak(int(peak) + offset, left + offset, right + offset, is_closed, float(height)))
        kept: list[int] = []
        for i in np.argsort([-peak.height for peak in found], kind="stable"):
            if not any(found[j].left < found[i].at < found[j].right for j in kept):
                kept.append(int(i))
        return [(peak, i in kept) for i, peak in enumerate(found)]

    def _event(self, peak: _Peak, code: int, n_frames: int | None, greatest: float) -> Event:
        """``n_frames`` is how many there are in all; None where that is not known yet, so no event can end there."""
        step = self._facts.frame_s
        begin, end = max(0.0, self._middle(0) - step / 2), np.inf
        if n_frames is not None:
            end = self._middle(n_frames - 1) + step / 2
        left, right = (self._seconds(edge, n_frames) for edge in (peak.left, peak.right))
        return Event(float(np.clip(left, begin, end)), float(np.clip(right, begin, end)), code, peak.height, greatest)

    def _seconds(self, place: float, n_frames: int | None) -> float:
        """The moment of a place between two frames, by each frame's own time."""
        before = int(np.floor(place))
        first, second = (self._middle(at, n_frames) for at in (before, before + 1))
        return first + (place - before) * (second - first)

    def _middle(self, at: int, n_frames: int | None = None) -> float:
        """The middle of a frame; the one before the first and the one after the last are a step away."""
        facts = self._facts
        if at < 0 or (n_frames is not None and at >= n_frames):
            nearest = 0 if at < 0 else (n_frames or 1) - 1
            return self._middle(nearest) + (at - nearest) * facts.frame_s
        rows, inside = divmod(at, len(facts.frame_times_s))
        return float(rows * facts.segment_s + facts.frame_times_s[inside])


def _local_maxima(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Values above both neighbours; of a flat top its middle, as scipy.signal.find_peaks. The ends are none."""
    steps = np.flatnonzero(np.diff(values))  # the last of each flat stretch
    if len(steps) < 2:
        return np.empty(0, np.intp)
    firsts, lasts = steps[:-1] + 1, steps[1:]
    is_top = (values[firsts] > values[firsts - 1]) & (values[lasts] > values[lasts + 1])
    return np.asarray((firsts[is_top] + lasts[is_top]) // 2, np.intp)


def _apart(values: NDArray[np.float64], peaks: NDArray[np.intp], distance: int) -> NDArray[np.intp]:
    """Leave out what is closer than ``distance`` to a higher peak that stays, the highest first."""
    keep = np.ones(len(peaks), bool)
    for i in np.argsort(values[peaks])[::-1]:
        if keep[i]:
            keep &= (np.abs(peaks - peaks[i]) >= distance) | (np.arange(len(peaks)) == i)
    return np.asarray(peaks[keep])


def _width(values: NDArray[np.float64], peak: int, level: float) -> tuple[float, float, bool]:
    """Find where the values around a peak reach ``level``, between two frames, and if they do on the right."""
    below = values[: peak + 1] <= level
    i = int(np.flatnonzero(below)[-1]) if below.any() else 0
    left = i + (level - values[i]) / (values[i + 1] - values[i]) if values[i] < level else float(i)
    below = values[peak:] <= level
    k = peak + int(below.argmax()) if below.any() else len(values) - 1
    right = k - (level - values[k]) / (values[k - 1] - values[k]) if values[k] < level else float(k)
    return float(left), float(right), bool(below.any())
