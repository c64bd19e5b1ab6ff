"""The low and the high edge of an event in frequency, from the levels of its spectrogram above their surroundings.

An event's rows are those in which its frames are louder than the quiet quarter of the frames before and after it. The
edges leave out a share of that excess at either end, and each goes through a straight line that was fitted to the boxes
of its class. `ecotf` and the recorder have this very file.

Levels are counted in whole steps of 1/16 dB, and the spectrogram's frames begin with the recording. So all sums are
exact, and no bit depends on how the sound is cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

STEPS = 16  # in a decibel
_TINY = 1e-12  # power; nothing is quieter
_QUIET = 4  # the quiet quarter of the surroundings is the background
_TOGETHER = 256  # frames that are transformed at once

Item = TypeVar("Item")


class EdgeSettings(NamedTuple):
    """The spectrogram: rows from ``low_hz`` to ``high_hz``, and how far around an event its background is heard."""

    rows: int
    around_s: float
    low_hz: float
    high_hz: float


class Line(NamedTuple):
    """An edge is ``weight`` times what was measured, plus ``offset_hz``; ``typical_hz`` where nothing was."""

    weight: float
    offset_hz: float
    typical_hz: float


class ClassEdges(NamedTuple):
    """The numbers of one class: where its edges are looked for, what is an excess, and what is left out of it.

    A level counts that is ``over_db`` above the background and at most ``under_db`` below the event's greatest one.
    """

    from_hz: float
    to_hz: float
    over_db: float
    under_db: float
    share: float
    low: Line
    high: Line

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> ClassEdges:
        """Read the numbers as a run or a model file keeps them; raises `KeyError`, `TypeError` or `ValueError`."""
        lines = [Line(*(float(kept[edge][name]) for name in Line._fields)) for edge in ("low", "high")]
        names = ("from_hz", "to_hz", "over_db", "under_db", "share")
        from_hz, to_hz, over_db, under_db, share = (float(kept[name]) for name in names)
        return cls(from_hz, to_hz, over_db, under_db, share, *lines)


class Levels:
    """The levels of a recording as it comes, in steps: frames of a Hann window, each half a window after the last.

    Attributes
    ----------
    first
        The number of the first frame that is held.
    """

    def __init__(self, settings: EdgeSettings, sample_rate: float) -> None:
        self._hop = max(1, round(sample_rate * settings.rows / (settings.high_hz - settings.low_hz) / 2))
        self._taper = np.hanning(2 * self._hop + 1)[:-1]
        self._rate, self._row_hz = sample_rate, sample_rate / (2 * self._hop)
        first = round(settings.low_hz / self._row_hz)
        self._rows = slice(first, max(first, min(round(settings.high_hz / self._row_hz), self._hop)) + 1)
        self.first = 0
        self._sound = np.empty(0)
        self._held = np.empty((0, self._rows.stop - self._rows.start), np.int16)

    @property
    def edges_hz(self) -> NDArray[np.float64]:
        """Where each row begins and the last one ends, ``[rows + 1]``."""
        return (np.arange(self._rows.start, self._rows.stop + 1) - 0.5) * self._row_hz

    @property
    def end(self) -> int:
        """The number of the next frame."""
        return self.first + len(self._held)

    def hear(self, sound: NDArray[Any]) -> None:
        """Take more sound ``[n]``, int16 or floating point."""
        scale = 1 / 32768 if sound.dtype == np.int16 else 1.0
        self._sound = np.concatenate([self._sound, np.asarray(sound, np.float64) * scale])
        n = max(0, len(self._sound) // self._hop - 1)
        made = [self._held]
        for at in range(0, n, _TOGETHER):
            count = min(_TOGETHER, n - at)
            starts = (at + np.arange(count)) * self._hop
            frames = self._sound[starts[:, None] + np.arange(2 * self._hop)]
            spectrum = np.fft.rfft(frames * self._taper, axis=1)[:, self._rows]
            power = spectrum.real**2 + spectrum.imag**2
            made.append(np.rint(10 * STEPS * np.log10(power + _TINY)).astype(np.int16))
        self._held = np.concatenate(made)
        self._sound = self._sound[n * self._hop :]

    def between(self, start_s: float, end_s: float) -> NDArray[np.int16]:
        """Return the held frames with their middles from ``start_s`` to before ``end_s``, ``[frames, rows]``."""
        first, last = (max(0, self.number(moment) - self.first) for moment in (start_s, end_s))
        return self._held[first:last]

    def nearest(self, start_s: float, end_s: float) -> NDArray[np.int16]:
        """Return the frames on both sides of the middle, ``[1 or 2, rows]``; none where there are none."""
        at = max(0, self.number((start_s + end_s) / 2) - self.first)
        return self._held[max(0, at - 1) : at + 1]

    def number(self, moment_s: float) -> int:
        """Return the number of the first frame with its middle at this moment or later."""
        return int(np.ceil(moment_s * self._rate / self._hop - 1))

    def forget(self, until_s: float) -> None:
        """Drop the frames before this moment."""
        n = min(len(self._held), self.number(until_s) - self.first)
        if n > _TOGETHER:
            self._held, self.first = self._held[n:].copy(), self.first + n


def measured(
    levels: Levels, start_s: float, end_s: float, around_s: float, numbers: ClassEdges
) -> tuple[float, float] | None:
    """Measure the lowest and the highest row of an event, hertz; None where nothing is above its surroundings."""
    rows, inside = _excess(levels, start_s, end_s, around_s, numbers)
    cumulated = np.cumsum(inside)
    if not len(rows) or not cumulated[-1]:
        return None
    left_out = numbers.share * float(cumulated[-1])
    low = int(np.argmax(cumulated > left_out))
    high = int(np.argmax(cumulated >= float(cumulated[-1]) - left_out))
    edges = levels.edges_hz
    return float(edges[rows[low]]), float(edges[rows[max(low, high)] + 1])


def _excess(
    levels: Levels, start_s: float, end_s: float, around_s: float, numbers: ClassEdges
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows that the class may have, and in each the sum of the steps that the event's frames lie above the limit."""
    edges = levels.edges_hz
    rows = np.flatnonzero((edges[1:] > numbers.from_hz) & (edges[:-1] < numbers.to_hz))
    inside = levels.between(start_s, end_s)
    if not len(inside):  # shorter than from one frame to the next
        inside = levels.nearest(start_s, end_s)
    before, after = levels.between(start_s - around_s, start_s), levels.between(end_s, end_s + around_s)
    around = np.concatenate([before, after])[:, rows]
    inside = inside[:, rows]
    if not len(around):
        around = inside
    if not len(inside) or not len(rows):
        return rows[:0], np.empty(0, np.int64)
    background = np.sort(around, axis=0)[(len(around) - 1) // _QUIET].astype(np.int64)
    limit, heard = background + round(numbers.over_db * STEPS), inside.astype(np.int64)
    loudest = np.where(heard > limit, heard, np.iinfo(np.int16).min).max()
    return rows, np.maximum(heard - np.maximum(limit, loudest - round(numbers.under_db * STEPS)), 0).sum(axis=0)


class EdgeStream(Generic[Item]):
    """Gives events their edges as the sound comes, in memory that does not grow with the recording.

    An event waits until its surroundings are heard, which is ``around_s`` after its end.

    Parameters
    ----------
    classes
        The numbers of each class, by its number.
    """

    def __init__(self, settings: EdgeSettings, classes: Sequence[ClassEdges], sample_rate: float) -> None:
        self._settings, self._classes = settings, classes
        self._levels = Levels(settings, sample_rate)
        self._nyquist_hz = sample_rate / 2
        self._waiting: list[tuple[float, float, int, Item]] = []

    def hear(self, sound: NDArray[Any]) -> None:
        """Take more sound ``[n]``, int16 or floating point; events are found in what has come already."""
        self._levels.hear(sound)

    def settle(
        self, events: Sequence[tuple[float, float, int, Item]], settled_s: float | None
    ) -> list[tuple[Item, float, float]]:
        """Take start, end, class and anything else of new events; return those whose edges are known, in hertz.

        ``settled_s`` says that later events begin after this; None that the sound has ended.
        """
        held, around_s = self._levels, self._settings.around_s
        going: list[tuple[Item, float, float]] = []
        staying: list[tuple[float, float, int, Item]] = []
        for event in [*self._waiting, *events]:
            if settled_s is None or held.number(event[1] + around_s) <= held.end:
                going.append((event[3], *self.edges_hz(event[0], event[1], event[2])))
            else:
                staying.append(event)
        self._waiting = staying
        if settled_s is not None:
            held.forget(self.settled_s(settled_s) - around_s)
        return going

    def settled_s(self, of_events_s: float) -> float:
        """Return what later events begin after, where without edges it were ``of_events_s``; seconds."""
        return min([of_events_s, *(event[0] for event in self._waiting)])

    def edges_hz(self, start_s: float, end_s: float, code: int) -> tuple[float, float]:
        """Return the edges of an event of a class, hertz, inside of the band and of what the sample rate can carry."""
        numbers, settings = self._classes[code], self._settings
        found = measured(self._levels, start_s, end_s, settings.around_s, numbers)
        lines = numbers.low, numbers.high
        low, high = (line.typical_hz for line in lines)
        if found is not None:
            low, high = (line.weight * hz + line.offset_hz for line, hz in zip(lines, found, strict=True))
        if low >= high:
            low, high = (line.typical_hz for line in lines)
        least, most = settings.low_hz, min(settings.high_hz, self._nyquist_hz)
        low, high = (float(min(max(edge, least), most)) for edge in (low, high))
        return (low, high) if low < high else (least, most)
