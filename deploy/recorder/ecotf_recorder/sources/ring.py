"""A ring buffer between the thread that reads sound and the loop that scores it. What does not fit is counted."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.sources.events import Began, Ended, Event, Sound

_MOST = 1 << 16  # samples that are handed over at a time


class RingBuffer:
    """Stretches of int16 sound in the order in which they came; memory is taken once.

    One thread writes, one reads. When the reader falls behind by more than the buffer holds, the newest sound is lost:
    the stretch ends with a gap, and a new one begins when half of the buffer is free again.

    Parameters
    ----------
    seconds, sample_rate
        How much it holds.
    """

    def __init__(self, seconds: float, sample_rate: int) -> None:
        self._rate = sample_rate
        self._ring = np.empty(max(1, round(seconds * sample_rate)), np.int16)
        self._events: deque[Event | int] = deque()  # an int stands for so many samples in the ring
        self._first = self._held = self._lost = 0
        self._open = self._overran = False
        self._changed = threading.Condition()

    def write(self, samples: NDArray[np.int16], steady: float, wait: bool = False) -> None:
        """Add samples of which the last came at ``steady``; ``wait`` for room instead of losing them."""
        if not len(samples):
            return
        most = max(1, len(self._ring) // 4)
        if wait and len(samples) > most:
            for at in range(0, len(samples), most):
                left = len(samples) - min(at + most, len(samples))
                self.write(samples[at : at + most], steady - left / self._rate, wait=True)
            return
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: len(self._ring) - self._held >= len(samples))
            # Once sound is lost, half of the ring must be free again: better one long gap than a hundred short ones.
            room = len(self._ring) // (2 if self._overran else 1) - self._held
            if len(samples) > room:
                self._lost += len(samples)
                if self._open:
                    self._end(Ended("the scoring fell behind", gap=True))
                self._overran = True
            else:
                if not self._open:
                    self._events.append(Began(steady - len(samples) / self._rate))
                    self._open, self._overran = True, False
                self._put(samples)
            self._changed.notify_all()

    def end(self, ended: Ended) -> None:
        """The stretch is over, if one is open."""
        with self._changed:
            if self._open:
                self._end(ended)
            self._changed.notify_all()

    def add(self, event: Event) -> None:
        """Any other event."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def read(self, timeout_s: float) -> Event | None:
        """The next event; None when none comes in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._events, timeout_s):
                return None
            event = self._events.popleft()
            if isinstance(event, int):
                n = min(event, _MOST)
                if event > n:
                    self._events.appendleft(event - n)
                event = Sound(self._take(n))
                self._changed.notify_all()
            return event

    @property
    def backlog_s(self) -> float:
        """Seconds of sound in the buffer."""
        return self._held / self._rate

    @property
    def lost_s(self) -> float:
        """Seconds of sound that found no room."""
        return self._lost / self._rate

    @property
    def overruns(self) -> bool:
        """True if sound is being lost now."""
        return self._overran

    def _end(self, ended: Ended) -> None:
        self._events.append(ended)
        self._open = False

    def _put(self, samples: NDArray[np.int16]) -> None:
        if not self._held:
            self._first = 0  # an empty ring begins anew, so that memory is touched only when there is a backlog
        at = (self._first + self._held) % len(self._ring)
        head = min(len(samples), len(self._ring) - at)
        self._ring[at : at + head] = samples[:head]
        self._ring[: len(samples) - head] = samples[head:]
        self._held += len(samples)
        if self._events and isinstance(self._events[-1], int):
            self._events[-1] += len(samples)
        else:
            self._events.append(len(samples))

    def _take(self, n: int) -> NDArray[np.int16]:
        at, head = self._first, min(n, len(self._ring) - self._first)
        out: NDArray[np.int16] = np.concatenate([self._ring[at : at + head], self._ring[: n - head]])
        self._first, self._held = (at + n) % len(self._ring), self._held - n
        return out
