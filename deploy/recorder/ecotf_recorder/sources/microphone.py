"""A microphone: ``arecord`` in a thread, started again whenever it ends, until the recorder stops listening."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import subprocess
import threading

import numpy as np

from ecotf_recorder.errors import SourceError
from ecotf_recorder.sources.arecord import command, environment, explain, find_device, overrun_s, wrong_rate
from ecotf_recorder.sources.events import Ended, Event
from ecotf_recorder.sources.ring import RingBuffer
from ecotf_recorder.times.clock import steady

_log = logging.getLogger(__name__)
_PIECE_S = 0.1
_STUCK_S = 5.0  # a device that gives nothing for so long is taken as gone
_LOOK_S = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_RATE_AFTER_S, _RATE_OFF = 20.0, 0.03  # when to compare the samples that came with the clock, and what is too far off
_PIPE_BYTES = 1 << 20


class Microphone:
    """An ALSA device.

    Parameters
    ----------
    device
        As ALSA calls it, or part of the card's name.
    channel
        Which of ``channels`` is listened to, counted from 1.
    buffer_s
        How far scoring may fall behind.
    first_pause_s
        How long to wait before a device that went away is tried again; doubled each time, up to a minute.
    """

    live = True

    def __init__(
        self, device: str, sample_rate: int, channels: int = 1, channel: int = 1, buffer_s: float = 10.0,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:  # fmt: skip
        self._device, self._rate, self._channels, self._channel = device, sample_rate, channels, channel
        self._ring = RingBuffer(buffer_s, sample_rate)
        self._first_pause_s = first_pause_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._problem = ""
        self._heard = False
        self._driver_lost_s = 0.0

    def start(self) -> None:
        """Begin to listen."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._listen, name="microphone", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Listen no more, and let the device go."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread, self._problem = None, ""

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None when none comes in time."""
        return self._ring.read(timeout_s)

    @property
    def backlog_s(self) -> float:
        """Seconds of sound in the buffer."""
        return self._ring.backlog_s

    @property
    def lost_s(self) -> float:
        """Seconds lost, in the buffer and in the driver; while the device was away there was nothing to lose."""
        return self._ring.lost_s + self._driver_lost_s

    @property
    def problem(self) -> str:
        """Reason for missing sound."""
        return self._problem or ("the scoring falls behind; sound is lost" if self._ring.overruns else "")

    def _listen(self) -> None:
        pause_s = self._first_pause_s
        while not self._stopping.is_set():
            self._heard = False
            try:
                self._record(find_device(self._device))
            except SourceError as error:
                if str(error) != self._problem:  # said once, not at every try
                    _log.error("microphone: %s", error)
                self._problem = str(error)
                self._ring.end(Ended(str(error), gap=True))
            pause_s = self._first_pause_s if self._heard else pause_s
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, max(_LONGEST_PAUSE_S, self._first_pause_s))
        self._ring.end(Ended())

    def _record(self, device: str) -> None:
        """Run arecord until it shall end; raises `SourceError` when it ends by itself, or gives what is not wanted."""
        process = subprocess.Popen(
            command(device, self._rate, self._channels), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment(), bufsize=0,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        complaints = _Lines(process.stderr.fileno())
        try:
            self._pump(process.stdout.fileno(), complaints)
            if not self._stopping.is_set():
                complaints.read_to_end()
                raise SourceError(explain(complaints.last, device, self._rate, self._channels))
        finally:
            process.terminate()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
            process.stderr.close()

    def _pump(self, pipe: int, complaints: _Lines) -> None:
        """Carry samples to the ring until arecord ends or shall end."""
        with contextlib.suppress(OSError):  # a pipe of the ordinary size does, too
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        frame = 2 * self._channels
        wanted = max(1, round(_PIECE_S * self._rate)) * frame
        waiting = b""
        frames, began, heard_at = 0, 0.0, steady()
        while not self._stopping.is_set():
            ready = select.select([pipe, *complaints.open], [], [], _LOOK_S)[0]
            # What arecord said before it gave sound is read before that sound.
            if complaints.descriptor in ready and self._is_refused(complaints.read()):
                return
            if pipe not in ready:
                if steady() - heard_at > _STUCK_S:
                    raise SourceError(f"{self._device} gives no sound any more")
                continue
            heard_at = steady()
            piece = os.read(pipe, wanted - len(waiting))
            if not piece:
                return
            waiting += piece
            if len(waiting) < wanted:
                continue
            now = steady()
            self._write(waiting, now)
            waiting, self._heard, self._problem = b"", True, ""
            if not began:
                began = now
                continue
            frames += wanted // frame
            if now - began > _RATE_AFTER_S and abs(frames / (now - began) / self._rate - 1) > _RATE_OFF:
                measured = frames / (now - began)
                raise SourceError(f"{self._device} gives {measured:.0f} samples a second instead of {self._rate}")

    def _is_refused(self, lines: list[str]) -> bool:
        """Hear what arecord says while it runs; whether it records at another rate, which it does all the same."""
        for line in lines:
            lost_s = overrun_s(line)
            if lost_s is not None:
                self._driver_lost_s += lost_s
                _log.warning("microphone: the driver lost %.3f s of sound", lost_s)
                self._ring.end(Ended(f"the driver lost {lost_s:.3f} s", gap=True))
        return any(wrong_rate(line) for line in lines)

    def _write(self, content: bytes, now: float) -> None:
        sound = np.frombuffer(content, "<i2").reshape(-1, self._channels)[:, self._channel - 1]
        self._ring.write(sound.astype(np.int16, copy=False), now)


class _Lines:
    """Lines of text from a pipe, as they come; the last ones are remembered."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.open = [descriptor]  # empty once the pipe has ended
        self.last: list[str] = []
        self._rest = b""

    def read(self) -> list[str]:
        """Read the sound that is there now, or the end."""
        piece = os.read(self.descriptor, 4096)
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if not piece:
            self.open, whole, self._rest = [], [self._rest], b""
        lines = [line.decode("utf-8", "replace").strip() for line in whole if line.strip()]
        self.last = [*self.last, *lines][-20:]
        return lines

    def read_to_end(self) -> None:
        """Wait shortly for the end of the pipe."""
        while self.open and select.select(self.open, [], [], 1.0)[0]:
            self.read()
