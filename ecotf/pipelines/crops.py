"""The sound of clips: crops of recordings at the training rate, read at random places, filled up and added up."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecotf.audio.recording import ChannelChoice, Recording, open_recording
from ecotf.errors import RecordingError
from ecotf.pipelines.clips import ClipsConfig
from ecotf.pipelines.sound_cache import ENVELOPE_HOP_S, DecodedSound, SoundCache, decode

_CACHE_BYTES = 20 << 30


@dataclass
class SkippedRecordings:
    """What could not be read while an epoch went by; threads may add to it at once.

    Attributes
    ----------
    reasons
        Recording to what is wrong with it.
    counts
        Recording to how many of its clips were left out.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, path: Path, reason: str) -> None:
        """Note a clip that was left out."""
        with self._lock:
            self.reasons[str(path)] = reason
            self.counts[str(path)] = self.counts.get(str(path), 0) + 1

    @property
    def clips(self) -> int:
        """How many clips were left out."""
        return sum(self.counts.values())

    def lines(self) -> list[str]:
        """One line for each recording, sorted, to be told at the end; none where all could be read."""
        return [
            f"{path}: {self.reasons[path]} ({count} clip{'s' * (count != 1)} left out)"
            for path, count in sorted(self.counts.items())
        ]


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
    ) -> None:
        self.paths = list(paths)
        self.sample_rate = sample_rate
        self.channel = channel
        self._expansions = list(time_expansions) if time_expansions is not None else [None] * len(self.paths)
        self._cache = SoundCache(cache, cache_bytes) if cache is not None else None
        self._locks = [threading.Lock() for _ in self.paths]
        self._opened: dict[int, Recording] = {}
        self._decoded: dict[int, DecodedSound] = {}
        self._broken: dict[int, RecordingError] = {}

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def cache_problem(self) -> str:
        """Why recordings are no longer kept on disk, one line; empty where they are."""
        return self._cache.problem if self._cache is not None else ""

    def open(self, recording: int) -> Recording:
        """The recording, its header read; raises `RecordingError`, the same every time."""
        if recording in self._broken:
            raise self._broken[recording]
        found = self._opened.get(recording)
        if found is None:
            try:
                found = open_recording(self.paths[recording], time_expansion=self._expansions[recording])
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

    def crop(
        self, recording: int, start_s: float, clips: ClipsConfig, rng: np.random.Generator, foreground: bool = True
    ) -> np.ndarray:
        """One clip.

        Parameters
        ----------
        start_s
            Where it begins; NaN draws the place, as ``clips.crop`` says.
        rng
            For the place.
        foreground
            Whether a label is in the foreground (`ClipsConfig.self_mixup`).

        Returns
        -------
        float32 ``[round(clips.seconds * sample_rate)]``

        Raises
        ------
        RecordingError
            The recording cannot be read, there or anywhere.
        """
        wanted = round(clips.seconds * self.sample_rate)
        if np.isfinite(start_s):
            start = round(start_s * self.sample_rate)
            return padded(self._read(recording, start, start + wanted), wanted, clips.pad)
        if clips.self_mixup == "all" or (clips.self_mixup == "background" and not foreground):
            return self._summed(recording, wanted, clips, rng)
        start = self._draw_start(recording, wanted, clips, rng)
        return padded(self._read(recording, start, start + wanted), wanted, clips.pad)

    def _summed(self, recording: int, wanted: int, clips: ClipsConfig, rng: np.random.Generator) -> np.ndarray:
        """Up to ``self_mixup_s`` of the recording, cut into clips that are added up."""
        longest = max(wanted, round(clips.self_mixup_s * self.sample_rate))
        start = self._draw_start(recording, longest, clips, rng)
        sound = self._read(recording, start, start + longest)
        if len(sound) <= wanted:
            return padded(sound, wanted, clips.pad)
        parts = padded(sound, wanted * -(-len(sound) // wanted), "zeros")
        return np.asarray(parts.reshape(-1, wanted).sum(axis=0), np.float32)

    def _draw_start(self, recording: int, wanted: int, clips: ClipsConfig, rng: np.random.Generator) -> int:
        spare = self.n_samples(recording) - wanted
        if clips.crop == "start" or spare <= 0:
            return 0
        if clips.crop == "energy":
            return draw_where_it_is_loud(self._whole(recording).envelope, wanted, spare, self.sample_rate, rng)
        return int(rng.integers(0, spare + 1))

    def n_samples(self, recording: int) -> int:
        """The length of a recording at the training rate."""
        opened = self.open(recording)
        return round(opened.n_frames * self.sample_rate / opened.sample_rate)

    def _read(self, recording: int, start: int, stop: int) -> np.ndarray:
        """Samples ``start`` to ``stop``, or as many as there are."""
        if self._cache is not None:
            whole = self._whole(recording)
            if whole.file is not None:
                return whole.read(start, stop)
        opened = self.open(recording)
        start = min(start, round(opened.duration_s * self.sample_rate))
        sound = opened.read(
            start / self.sample_rate, stop / self.sample_rate, channel=self.channel, sample_rate=self.sample_rate
        )
        return sound[: stop - start]

    def _whole(self, recording: int) -> DecodedSound:
        """The recording decoded once, by one thread."""
        with self._locks[recording]:
            known = self._decoded.get(recording)
            if known is not None and (known.file is None or known.file.exists()):
                return known
            opened = self.open(recording)
            try:
                if self._cache is None:
                    known = decode(opened, self.sample_rate, self.channel, None)
                else:
                    known = self._cache.get(opened, self.sample_rate, self.channel)
            except RecordingError as error:
                self._broken[recording] = error
                raise
            self._decoded[recording] = known
            return known


def padded(sound: np.ndarray, wanted: int, pad: str) -> np.ndarray:
    """``sound`` made ``wanted`` samples long: repeated, or followed by zeros; no sound at all becomes zeros."""
    if len(sound) >= wanted:
        return np.ascontiguousarray(sound[:wanted])
    if pad == "repeat" and len(sound):
        return np.resize(sound, wanted)
    return np.concatenate([sound, np.zeros(wanted - len(sound), np.float32)])


def draw_where_it_is_loud(
    envelope: np.ndarray, wanted: int, spare: int, sample_rate: int, rng: np.random.Generator
) -> int:
    """Draw the first sample of a clip, each place with the energy above the recording's median that its clip holds.

    Where the recording is equally loud everywhere, all places are alike.

    Parameters
    ----------
    envelope
        Energies, each of `ENVELOPE_HOP_S`.
    wanted, spare
        Samples in the clip, and in the recording beyond it.
    """
    hop = round(ENVELOPE_HOP_S * sample_rate)
    above = np.concatenate([[0.0], np.cumsum(np.maximum(envelope - np.median(envelope), 0), dtype=np.float64)])
    starts = np.arange(spare // hop + 1)
    ends = np.minimum(starts + -(-wanted // hop), len(envelope))
    held = np.maximum(above[ends] - above[starts], 0)
    if not held.sum() > 0:
        return int(rng.integers(0, spare + 1))
    place = int(rng.choice(starts, p=held / held.sum())) * hop
    return min(spare, place + int(rng.integers(0, hop)))
