"""The sound of clips: recordings at the training rate, opened once, and decoded once where there is a cache."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.audio.hdf5_rows import split_row
from ecotf.config import Config
from ecotf.errors import RecordingError
from ecotf.pipelines.clips import ClipsConfig
from ecotf.pipelines.passages import SoundPassages, cut_clip, draw_start
from ecotf.pipelines.sound_cache import DecodedSound, SoundCache, decode
from ecotf.pipelines.sources import SOURCES, RecordingSource, Sound

_CACHE_BYTES = 20 << 30
_TRIES = 5


@dataclass
class SkippedRecordings:
    """The recordings that could not be read during an epoch; several threads may add to it at once.

    Attributes
    ----------
    reasons
        Recording to what is wrong with it.
    counts
        Recording to how many of its clips were left out.
    episodes
        What whole episodes were left out for, and how many.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    episodes: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, path: Path, reason: str) -> None:
        """Note a clip that was left out."""
        with self._lock:
            self.reasons[str(path)] = reason
            self.counts[str(path)] = self.counts.get(str(path), 0) + 1

    def add_episode(self, reason: str) -> None:
        """Note an episode that was left out."""
        with self._lock:
            self.episodes[reason] = self.episodes.get(reason, 0) + 1

    def withdraw(self, path: Path) -> None:
        """Take back one clip that was noted: it could be read after all."""
        with self._lock:
            self.counts[str(path)] -= 1
            if not self.counts[str(path)]:
                del self.counts[str(path)], self.reasons[str(path)]

    @property
    def clips(self) -> int:
        """How many clips were left out."""
        return sum(self.counts.values())

    def lines(self) -> list[str]:
        """One line for each recording, sorted, to be told at the end; none where all could be read."""
        clips = [
            f"{path}: {self.reasons[path]} ({count} clip{'s' * (count != 1)} left out)"
            for path, count in sorted(self.counts.items())
        ]
        episodes = [
            f"{count} episode{'s' * (count != 1)} left out: {reason}" for reason, count in sorted(self.episodes.items())
        ]
        return [*clips, *episodes]


@dataclass(frozen=True)
class _KeptPassages:
    """Passages of one of `ClipSounds`, read from what is kept decoded of it where there is a cache."""

    sounds: ClipSounds
    recording: int

    @property
    def _plain(self) -> SoundPassages:
        return SoundPassages(self.sounds.open(self.recording), self.sounds.sample_rate, self.sounds.channel)

    @property
    def n_samples(self) -> int:
        return self._plain.n_samples

    @property
    def envelope(self) -> np.ndarray:
        return self.sounds.decoded(self.recording).envelope

    def read(self, start: int, stop: int) -> np.ndarray:
        if self.sounds.keeps(self.recording):
            whole = self.sounds.decoded(self.recording)
            if whole.file is not None:
                return whole.read(start, stop)
        return self._plain.read(start, stop)


class ClipSounds:
    """Reads crops of recordings at one sample rate.

    Parameters
    ----------
    paths
        The recordings, in the order of `ClipTable.recording`.
    sample_rate
        Of the clips, in Hz.
    cache
        Folder for decoded recordings (`SoundCache`); None decodes every crop anew.
    cache_bytes
        The most that the folder may hold.
    time_expansions
        Of each recording, where the manifest states it.
    channel
        As in `Recording.blocks`.
    source
        The kind of thing that the paths name.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        sample_rate: int,
        cache: Path | None = None,
        *,
        cache_bytes: int = _CACHE_BYTES,
        time_expansions: Sequence[float | None] | None = None,
        channel: ChannelChoice = "mix",
        source: Config | None = None,
    ) -> None:
        self.paths = list(paths)
        self.sample_rate = sample_rate
        self.channel = channel
        self.source = source if source is not None else RecordingSource()
        self._expansions = list(time_expansions) if time_expansions is not None else [None] * len(self.paths)
        self._cache = SoundCache(cache, cache_bytes) if cache is not None else None
        self._locks = [threading.Lock() for _ in self.paths]
        self._opened: dict[int, Sound] = {}
        self._decoded: dict[int, DecodedSound] = {}
        self._broken: dict[int, RecordingError] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def keeps(self, recording: int) -> bool:
        """Whether a recording is kept decoded on disk; rows of HDF5 files are decoded there already."""
        return self._cache is not None and split_row(self.paths[recording]) is None

    @property
    def cache_problem(self) -> str:
        """Why recordings are no longer kept on disk, one line; empty where they are."""
        return self._cache.problem if self._cache is not None else ""

    def open(self, recording: int) -> Sound:
        """Return the recording, its header read; raises `RecordingError`, the same every time."""
        if recording in self._broken:
            raise self._broken[recording]
        found = self._opened.get(recording)
        if found is None:
            try:
                found = SOURCES.build(self.source, self.paths[recording], self._expansions[recording])
            except RecordingError as error:
                self._broken[recording] = error
                raise
            self._opened[recording] = found
        return found

    def durations(self, report: SkippedRecordings | None = None) -> dict[int, float]:
        """Recording to its length in seconds; those that cannot be opened are not in it, and noted in ``report``."""
        lengths = {}
        for recording in range(len(self)):
            try:
                lengths[recording] = self.open(recording).duration_s
            except RecordingError as error:
                if report is not None:
                    report.add(self.paths[recording], str(error))
        return lengths

    def n_samples(self, recording: int) -> int:
        """Return the length of a recording at the training rate."""
        return _KeptPassages(self, recording).n_samples

    def crop(
        self, recording: int, start_s: float, clips: ClipsConfig, rng: np.random.Generator, foreground: bool = True
    ) -> np.ndarray:
        """Cut one clip out of a recording; as `cut_clip`."""
        return cut_clip(_KeptPassages(self, recording), self.sample_rate, start_s, clips, rng, foreground)

    def passage(self, recording: int, start: int, n_samples: int) -> np.ndarray:
        """Return samples of a recording at the training rate, float32 ``[n_samples]``; silence beyond its ends.

        Raises `RecordingError`.
        """
        passages = _KeptPassages(self, recording)
        first, last = max(0, start), min(passages.n_samples, start + n_samples)
        sound = np.zeros(n_samples, np.float32)
        if last > first:
            read = passages.read(first, last)
            sound[first - start :][: len(read)] = read
        return sound

    def draw_start_s(self, recording: int, clips: ClipsConfig, rng: np.random.Generator) -> float:
        """Draw where a clip of a recording begins, in seconds: the place that `crop` would take with the same ``rng``.

        Raises `RecordingError`.
        """
        wanted = round(clips.seconds * self.sample_rate)
        return draw_start(_KeptPassages(self, recording), wanted, self.sample_rate, clips, rng) / self.sample_rate

    def any_crop(
        self, clips: ClipsConfig, rng: np.random.Generator, report: SkippedRecordings
    ) -> tuple[np.ndarray, int]:
        """Cut a clip out of any of the recordings; silence where none of some that are drawn can be read.

        Recordings of background are none of those that are trained on, so the number beside the clip is -1.
        """
        for recording in rng.integers(0, len(self), _TRIES):
            try:
                return self.crop(int(recording), np.nan, clips, rng), -1
            except RecordingError as error:
                report.add(self.paths[recording], str(error))
        return np.zeros(round(clips.seconds * self.sample_rate), np.float32), -1

    def decoded(self, recording: int) -> DecodedSound:
        """Return the recording decoded once, by one thread; raises `RecordingError`."""
        with self._locks[recording]:
            known = self._decoded.get(recording)
            if known is not None and (known.file is None or known.file.exists()):
                return known
            opened = self.open(recording)
            try:
                if self._cache is None or not self.keeps(recording):
                    known = decode(opened, self.sample_rate, self.channel, None)
                else:
                    known = self._cache.get(opened, self.sample_rate, self.channel)
            except RecordingError as error:
                self._broken[recording] = error
                raise
            self._decoded[recording] = known
            return known
