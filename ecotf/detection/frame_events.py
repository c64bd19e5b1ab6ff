"""From scores of frames to events: peaks of each class's smoothed score, with the stretch around each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ecotf.detection.finders import FINDERS, FinderConfig, Framing
from ecotf.detection.view import COLUMNS, in_order

if TYPE_CHECKING:
    import pandas as pd

_LEAST_FLOOR = 1e-12


class FrameEventsConfig(FinderConfig):
    """Events are peaks of a smoothed score; each ends where the score falls below a part of its peak.

    Attributes
    ----------
    smooth_s
        Width (sigma) of a Gaussian over the frames; 0 for none.
    floor
        The lowest score of a candidate.
    gap_s
        Peaks closer than this are one event, the higher.
    edge
        An event ends where the score falls below this part of its peak.
    """

    fits: ClassVar[bool] = False

    name: Literal["peaks"] = "peaks"
    smooth_s: float = Field(0.1, ge=0)
    floor: float = Field(0.01, ge=0, le=1)
    gap_s: float = Field(0.4, ge=0)
    edge: float = Field(0.5, gt=0, lt=1)


@FINDERS.register(FrameEventsConfig)
def build_peaks(config: FrameEventsConfig, framing: Framing, numbers: Mapping[str, Any] | None) -> EventStream:
    """Find events at peaks; there are no fitted numbers."""
    floors = np.full(len(framing.classes), config.floor) if framing.floors is None else framing.floors
    return EventStream(framing.classes, floors, framing.frame_s, framing.band_hz, config)


class _Loud(NamedTuple):
    """A stretch of one class in which its score stays above all edges, with one quiet frame before it.

    ``first`` is the number of its first value; number 0 is a frame of nothing before the recording.
    """

    first: int
    values: np.ndarray


class _Events(NamedTuple):
    """The events of one class in one stretch, ``[n]`` each."""

    code: int
    start_s: np.ndarray
    end_s: np.ndarray
    heights: np.ndarray
    greatest: np.ndarray


class EventStream:
    """The events of one recording from its frames as they come, in memory that does not grow with its length.

    An event depends on the stretch around it in which its class stays loud enough to be part of an event, and on
    nothing beyond the quiet frames, at least ``gap_s`` of them, that end such a stretch. So each stretch is searched by
    itself, when it is over. How the frames are cut into pieces makes no difference to a bit.

    Parameters
    ----------
    floors
        The lowest score of an event of each class, ``[classes]``, where above ``config.floor``: events below a
        threshold do not affect those above it.
    """

    def __init__(
        self, classes: Sequence[str], floors: np.ndarray, frame_s: float, band_hz: tuple[float, float],
        config: FrameEventsConfig,
    ) -> None:  # fmt: skip
        self._classes, self._band, self._config, self._frame_s = tuple(classes), band_hz, config, frame_s
        self._floors = np.maximum(floors, max(config.floor, _LEAST_FLOOR))
        self._sigma = config.smooth_s / frame_s
        self._radius = int(4 * self._sigma + 0.5)
        self._distance = max(1, round(config.gap_s / frame_s))
        self._raw = np.empty((0, len(self._classes)))  # frames that are not smoothed, after `radius` that are
        self._smoothed = 0  # smoothed frames so far
        self._before = np.zeros((1, len(self._classes)))  # the frame before the next smoothed one
        self._open: dict[int, _Loud] = {}
        self._kept = 0  # number of the first frame of which `_times` and `_greatest` are kept
        self._times, self._greatest = np.empty(0), np.zeros(1)
        self._begin_s, self._end_s = -np.inf, np.inf

    def push(self, probabilities: np.ndarray, times: np.ndarray) -> pd.DataFrame:
        """Take the next frames; return the events that are settled.

        Parameters
        ----------
        probabilities
            ``[frames, classes]``
        times
            Middles of the frames, seconds.

        Returns
        -------
        In order of time. ``score`` is the height of the event's peak in the smoothed score of its class,
        ``detection_score`` the greatest smoothed score of any class at that moment.
        """
        if not len(times):
            return in_order([])
        if not len(self._times):
            self._times = np.array([times[0] - self._frame_s])
            self._begin_s = max(0.0, times[0] - self._frame_s / 2)  # the first frame may reach out before the sound
        self._times = np.concatenate([self._times, times])
        self._raw = np.concatenate([self._raw, probabilities])
        return self._search(self._smooth(final=False), final=False)

    def finish(self) -> pd.DataFrame:
        """End the recording; return its last events."""
        if not len(self._times):
            return in_order([])
        self._end_s = self._times[-1] + self._frame_s / 2
        self._times = np.append(self._times, self._times[-1] + self._frame_s)
        smooth = self._smooth(final=True)
        # A frame of nothing at the end, as there is one at the beginning, so that an event may end with the recording.
        return self._search(np.concatenate([smooth, np.zeros((1, len(self._classes)))]), final=True)

    @property
    def settled_s(self) -> float:
        """Later events begin after this; seconds."""
        if not len(self._times):
            return 0.0
        first = min([self._smoothed, *(loud.first for loud in self._open.values())])
        return max(0.0, float(self._times[first - self._kept]))

    def _smooth(self, final: bool) -> np.ndarray:
        """The next smoothed frames: those that no frame to come can change."""
        from scipy.ndimage import gaussian_filter1d

        seen = len(self._raw)
        done = min(self._smoothed, self._radius)
        until = seen if final else max(done, seen - self._radius)
        smooth = self._raw
        if self._sigma and seen:
            smooth = gaussian_filter1d(self._raw, self._sigma, axis=0, mode="nearest")
        smooth = smooth[done:until].copy()
        self._smoothed += len(smooth)
        self._raw = self._raw[max(0, until - self._radius) :].copy()
        return smooth

    def _search(self, smooth: np.ndarray, final: bool) -> pd.DataFrame:
        """Search all stretches that are over now."""
        if not len(smooth):
            return in_order([])
        first = self._kept + len(self._greatest) - 1  # number of `_before`
        self._greatest = np.concatenate([self._greatest, smooth.max(axis=1, initial=0.0)])
        heard = np.concatenate([self._before, smooth])
        loud = (smooth > self._config.edge * self._floors).any(axis=0)
        found = []
        for code in sorted({*np.flatnonzero(loud).tolist(), *self._open}):
            piece = self._open.pop(code, None)
            values = heard[:, code] if piece is None else np.concatenate([piece.values, smooth[:, code]])
            piece = _Loud(first if piece is None else piece.first, values)
            over, still_open = self._parted(piece, code, final)
            if still_open is not None:
                self._open[code] = still_open
            found += [self._events(stretch, code) for stretch in over if stretch.values.max() >= self._floors[code]]
        self._before = smooth[-1:]
        self._forget()
        return self._table(found)

    def _parted(self, piece: _Loud, code: int, final: bool) -> tuple[list[_Loud], _Loud | None]:
        """Return the stretches that have ended, with a quiet frame on both sides, and the one that may continue."""
        at = np.flatnonzero(piece.values > self._config.edge * self._floors[code])
        if not len(at):
            return [], None
        cuts = np.flatnonzero(np.diff(at) > self._distance)
        begins, ends = at[np.concatenate([[0], cuts + 1])], at[np.concatenate([cuts, [len(at) - 1]])]
        parts = [_Loud(piece.first + a - 1, piece.values[a - 1 : b + 2]) for a, b in zip(begins, ends, strict=True)]
        if final or len(piece.values) - 1 - ends[-1] >= self._distance:
            return parts, None
        return parts[:-1], _Loud(piece.first + int(begins[-1]) - 1, piece.values[begins[-1] - 1 :].copy())

    def _events(self, stretch: _Loud, code: int) -> _Events:
        """The events of a stretch."""
        from scipy.signal import find_peaks, peak_widths

        values, config = stretch.values, self._config
        peaks, _ = find_peaks(values, height=self._floors[code], distance=self._distance)
        heights = values[peaks]
        level = (heights, np.zeros(len(peaks), np.intp), np.full(len(peaks), len(values) - 1, np.intp))
        _, _, left, right = peak_widths(values, peaks, 1 - config.edge, prominence_data=level)
        kept: list[int] = []
        for i in np.argsort(-heights, kind="stable"):
            if not any(left[j] < peaks[i] < right[j] for j in kept):  # else it is a ripple of a higher one
                kept.append(int(i))
        # By each frame's own time: rows are no whole number of frames long, so the step from row to row is another one.
        here = slice(stretch.first - self._kept, stretch.first - self._kept + len(values))
        moments, places = self._times[here], np.arange(len(values))
        start_s, end_s = (
            np.clip(np.interp(edges[kept], places, moments), self._begin_s, self._end_s) for edges in (left, right)
        )
        return _Events(code, start_s, end_s, heights[kept], self._greatest[here][peaks[kept]])

    def _table(self, found: list[_Events]) -> pd.DataFrame:
        """Events as detections, in order of time."""
        import pandas as pd

        if not found:
            return in_order([])
        start_s, end_s, heights, greatest = (np.concatenate([events[i] for events in found]) for i in range(1, 5))
        labels = [self._classes[events.code] for events in found for _ in events.heights]
        low_hz, high_hz = self._band
        columns = (start_s, end_s, low_hz, high_hz, pd.Series(labels, dtype=str), heights, greatest)
        return in_order([pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))])

    def _forget(self) -> None:
        """Drop the times of frames that no open stretch needs."""
        last = self._kept + len(self._greatest) - 1
        needed = min([last, *(loud.first for loud in self._open.values())])
        self._times, self._greatest = self._times[needed - self._kept :], self._greatest[needed - self._kept :]
        self._kept = needed
