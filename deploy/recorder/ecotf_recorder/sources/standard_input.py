"""Standard input: raw 16-bit samples of one channel, from any program that can write them."""

from __future__ import annotations

import os
import select
import threading

import numpy as np

from ecotf_recorder.sources.events import Ended, Event, Exhausted
from ecotf_recorder.sources.ring import RingBuffer
from ecotf_recorder.times.clock import steady

_PIECE_BYTES = 1 << 16


class StandardInput:
    """Samples from a file descriptor, little-endian. A writer that is too fast is made to wait."""

    live = True

    def __init__(self, sample_rate: int, buffer_s: float = 10.0, descriptor: int = 0) -> None:
        self._ring = RingBuffer(buffer_s, sample_rate)
        self._descriptor = descriptor
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._read, name="standard input", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(0.5)  # it may wait for room, which there will be as what has come is handed over
            self._thread = None

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None when none comes in time."""
        return self._ring.read(timeout_s)

    @property
    def backlog_s(self) -> float:
        """Seconds of sound in the buffer."""
        return self._ring.backlog_s

    @property
    def lost_s(self) -> float:
        """Nothing is lost."""
        return 0.0

    @property
    def problem(self) -> str:
        """There is none."""
        return ""

    def _read(self) -> None:
        odd = b""
        while not self._stopping.is_set():
            if not select.select([self._descriptor], [], [], 0.2)[0]:
                continue
            piece = os.read(self._descriptor, _PIECE_BYTES)
            if not piece:
                self._ring.end(Ended())
                self._ring.add(Exhausted())
                return
            piece = odd + piece
            whole = len(piece) // 2 * 2
            odd = piece[whole:]
            if whole:
                self._ring.write(np.frombuffer(piece[:whole], "<i2").astype(np.int16, copy=False), steady(), wait=True)
        self._ring.end(Ended())
