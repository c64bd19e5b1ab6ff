"""WAV files as sources: one file, or a folder that another recorder fills."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import tzinfo
from pathlib import Path

from ecotf_recorder.audio.wav import WavFile, open_wav
from ecotf_recorder.classify import check_rate
from ecotf_recorder.errors import SoundError
from ecotf_recorder.files import PARTIAL_PREFIX, shown_name
from ecotf_recorder.sources.events import Began, Ended, Event, Exhausted, FileFacts, FileKey, Sound
from ecotf_recorder.times.beginning import iso_time, serial_of
from ecotf_recorder.times.clock import steady

_log = logging.getLogger(__name__)
_SCAN_EVERY_S = 2.0
_SCAN_AT_A_TIME_S = 0.1
_REST = 20.0  # times as long as it took to look through the folder, before it is looked through again
_AGAIN_AFTER_S = 60.0  # a file that could not be read is tried again
_ENDINGS = (".wav", ".wave", ".bwf", ".wavex", ".rf64", ".bw64")


class Recordings:
    """Settings for WAV files: sample rate, channel and time expansion.

    Parameters
    ----------
    least_s
        A shorter recording has no answer.
    time_zone
        The zone of times that come without one.
    """

    def __init__(
        self,
        sample_rate: int,
        least_s: float,
        channel: int | None = None,
        time_expansion: float | None = None,
        time_zone: tzinfo | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self._least_s, self._channel, self._time_expansion = least_s, channel, time_expansion
        self._time_zone = time_zone

    def play(self, path: Path, name: str, key: FileKey | None) -> Iterator[Event]:
        """The events of one file; one that cannot be used begins and ends, with the reason."""
        try:
            wav = open_wav(path, self._time_expansion, self._time_zone)
        except SoundError as error:
            yield Began(name=name, key=key)
            yield Ended(str(error), status=error.status)
            return
        if wav.date_note or wav.began is None:
            _log.info("%s: %s", name, wav.date_note or "nothing says when it began; its detections have no time")
        facts = FileFacts(wav.duration_s, iso_time(wav.began), serial_of(wav.fields))
        yield Began(name=name, wall=start_of(wav), key=key, facts=facts)
        try:
            check_rate(wav.sample_rate, self.sample_rate)
            if wav.duration_s < self._least_s:
                raise SoundError(f"{wav.duration_s * 1000:.1f} ms long; shorter than one window of the model", "short")
            least, most = math.inf, -math.inf
            for block in wav.blocks(self._channel):
                if not least < most:
                    least, most = min(least, float(block.min())), max(most, float(block.max()))
                yield Sound(block)
            if key is not None and key_of(path, key.path) != key:
                raise SoundError("changed while it was read", "failed")
            yield Ended(wav.note) if least < most else Ended(wav.why_silent(self._channel), status="silent")
        except SoundError as error:
            yield Ended(str(error), status=error.status)


class OneFile:
    """A single WAV file, which is read once, like a file of a folder: as a whole, or not at all."""

    live = False

    def __init__(self, path: Path, recordings: Recordings, is_done: Callable[[FileKey], bool]) -> None:
        key = key_of(path, shown_name(path))
        self._events: Iterator[Event] = iter(())
        if key is not None and is_done(key):
            _log.info("%s was read before; nothing is left to do", shown_name(path))
        else:
            self._events = recordings.play(path, shown_name(path.name), key)
        self.backlog_s = self.lost_s = 0.0
        self.problem = ""

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""

    def next(self, timeout_s: float) -> Event | None:
        """The next event."""
        return next(self._events, Exhausted())


class FilledFolder:
    """A folder, and those inside it, that a recorder fills: every finished WAV file once, in the order of their paths.

    Parameters
    ----------
    settle_s
        A file is finished when its size and time have not changed for so long.
    is_done
        Whether a file was settled before, in an earlier life.
    """

    live = False

    def __init__(
        self, folder: Path, recordings: Recordings, settle_s: float, is_done: Callable[[FileKey], bool]
    ) -> None:
        self._folder, self._recordings, self._settle_s, self._is_done = folder, recordings, settle_s, is_done
        self._seen: dict[str, tuple[FileKey, float]] = {}
        self._done: set[FileKey] = set()
        self._later: dict[str, float] = {}
        self._waiting: deque[tuple[FileKey, Path]] = deque()
        self._waiting_bytes = 0
        self._passed_over = ""
        self._playing: Iterator[Event] | None = None
        self._now: FileKey | None = None
        self._left_s = 0.0
        self._scanning: Iterator[None] | None = None
        self._scan_at = self._scan_took_s = 0.0
        self.lost_s = 0.0
        self.problem = ""

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""

    @property
    def backlog_s(self) -> float:
        """Seconds of sound in finished files that have not been read."""
        return max(0.0, self._left_s) + self._waiting_bytes / 2 / self._recordings.sample_rate

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None when no finished file turns up in time."""
        if self._playing is None and not self._choose():
            if self._scanning is None:
                time.sleep(max(0.0, min(timeout_s, _SCAN_EVERY_S)))
            return None
        assert self._playing is not None and self._now is not None
        event = next(self._playing, None)
        if isinstance(event, Sound):
            self._left_s -= len(event.samples) / self._recordings.sample_rate
        elif isinstance(event, Ended):
            if event.status == "failed":
                self._later[self._now.path] = steady() + _AGAIN_AFTER_S
            else:
                self._done.add(self._now)
            self._playing, self._left_s = None, 0.0
        return event

    def _choose(self) -> bool:
        """Begin with the next finished file, if there is one."""
        if not self._waiting:
            self._scan_some()
        if not self._waiting:
            return False
        self._now, path = self._waiting.popleft()
        self._waiting_bytes -= self._now.size
        self._left_s = self._now.size / 2 / self._recordings.sample_rate
        self._playing = self._recordings.play(path, self._now.path, self._now)
        return True

    def _scan_some(self) -> None:
        """Look through the folder for a moment: with many files, or a slow card, it takes many of them."""
        began = steady()
        if self._scanning is None:
            if began < self._scan_at:
                return
            self._scanning, self._scan_took_s = self._scan(), 0.0
        for _ in self._scanning:
            if self._waiting or steady() - began > _SCAN_AT_A_TIME_S:
                self._scan_took_s += steady() - began
                return
        self._scanning = None
        self._scan_took_s += steady() - began
        pause_s = min(_SCAN_EVERY_S, max(0.05, self._settle_s / 2))
        self._scan_at = steady() + max(pause_s, _REST * self._scan_took_s)

    def _scan(self) -> Iterator[None]:
        problem = "" if self._folder.is_dir() else f"{self._folder} is not there; is the card in?"
        if problem and problem != self.problem:
            _log.error("%s", problem)
        self.problem = problem
        seen: dict[str, tuple[FileKey, float]] = {}
        others = Counter[str]()
        root = os.path.join(self._folder, "")
        for path in _wav_files(root, others):
            yield
            now = steady()
            key = key_of(path, path.removeprefix(root))
            if key is None or key in self._done or self._later.get(key.path, 0.0) > now:
                continue
            known, since = self._seen.get(key.path, (None, now))
            seen[key.path] = key, since if known == key else now
            if now - seen[key.path][1] >= self._settle_s:
                if self._is_done(key):
                    self._done.add(key)
                else:
                    self._waiting.append((key, Path(path)))
                    self._waiting_bytes += key.size
        self._seen = seen
        names = ", ".join(sorted(map(shown_name, +others)))
        passed_over = f"{sum(others.values())} files passed over: {names}" if names else ""
        if passed_over and passed_over != self._passed_over:
            _log.info("%s: %s", self._folder, passed_over)
        self._passed_over = passed_over


def key_of(path: str | Path, name: str) -> FileKey | None:
    """Return what differs between two files of the same name; None if the file is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return FileKey(name if name.isascii() else shown_name(name), found.st_size, found.st_mtime_ns)


def start_of(wav: WavFile) -> float | None:
    """When a recording began, in seconds since 1970; None where nothing says it, or not in which zone."""
    return None if wav.began is None or wav.began.utc is None else wav.began.utc.timestamp()


def _wav_files(folder: str, others: Counter[str]) -> Iterator[str]:
    """The WAV files below a folder, linked folders once each; the others are counted, by their ending."""
    waiting, seen = [folder], set()
    while waiting:
        for place, folders, names in os.walk(waiting.pop(0)):
            real = os.path.realpath(place)
            linked = {name for name in folders if os.path.islink(os.path.join(place, name))}
            if real in seen:
                folders[:] = []
                continue
            seen.add(real)
            waiting += [os.path.join(place, name) for name in sorted(linked) if not name.startswith(".")]
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in linked)
            for name in sorted(names):
                ending = os.path.splitext(name)[1].lower()
                if name.startswith((".", PARTIAL_PREFIX)):
                    others["hidden files"] += not name.startswith(PARTIAL_PREFIX)
                elif ending in _ENDINGS:
                    yield os.path.join(place, name)
                else:
                    others[ending or "files without an ending"] += 1
