"""Decoded recordings, kept on disk at the training rate as 16-bit samples, up to a limit."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.errors import EcotfError, RecordingError
from ecotf.files import atomic_file
from ecotf.pipelines.sources import Sound

# Raised whenever what is kept changes, so that what an older version kept is not read.
_CACHE_VERSION = 1
_BLOCK_S = 2.0
_HEADROOM = 2.0  # full scale of what is kept: lossy files and resampling go a little past 1
_STEPS = 32767
ENVELOPE_HOP_S = 0.05


@dataclass(frozen=True)
class DecodedSound:
    """The facts about a recording after it has been decoded.

    Attributes
    ----------
    n_samples
        At the training rate.
    envelope
        float32 ``[n]``, the energy of each 50 ms: mean square of the differences from sample to sample, so that wind
        and traffic count for little.
    file
        int16 ``.npy`` with the samples; None where the cache has no room for them.
    scale
        The sample value that stands for 1 / 32767 of it in the file.
    """

    n_samples: int
    envelope: np.ndarray
    file: Path | None
    scale: float

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples ``start`` to ``stop``, float32; only where ``file`` is there."""
        assert self.file is not None
        # Opened each time: thousands of recordings that stay mapped would take as many open files.
        kept = np.load(self.file, mmap_mode="r")
        return np.multiply(kept[start:stop], np.float32(self.scale / _STEPS), dtype=np.float32)


class SoundCache:
    """A folder of decoded recordings that never holds more than ``limit_bytes`` of samples.

    The key is a digest of the recording's bytes, the rate, the channel and the time expansion, so that a stale entry is
    never read. Where a recording does not fit, the entries used longest ago that this object has not used go; where
    that is not enough, the recording is decoded and not kept, so that one epoch does not push out what the next needs.

    Parameters
    ----------
    folder
        Made when needed.
    limit_bytes
        The most that samples may take; each process that uses the folder counts for itself.

    Attributes
    ----------
    problem
        Why nothing more is kept (a full disk, a folder that cannot be written); empty while all is well.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.problem = ""
        self._lock = threading.Lock()
        self._used: set[str] = set()
        self._sizes = {file.stem: file.stat().st_size for file in folder.glob("*.npy")} if folder.is_dir() else {}

    @property
    def held_bytes(self) -> int:
        """The memory that the samples take now."""
        return sum(self._sizes.values())

    def get(self, recording: Sound, sample_rate: int, channel: ChannelChoice) -> DecodedSound:
        """Return the decoded recording; decoded now unless it is kept. Raises `RecordingError` as reading does."""
        key = _key(recording, sample_rate, channel)
        with self._lock:
            self._used.add(key)
        kept = self._read(key)
        if kept is not None:
            return kept
        n_bytes = 2 * round(recording.n_frames * sample_rate / recording.sample_rate) + 128
        if self.problem or not self._make_room(key, n_bytes):
            return decode(recording, sample_rate, channel, None)
        try:
            with atomic_file(self._file(key)) as partial:
                made = decode(recording, sample_rate, channel, partial)
            about = {"recording": str(recording.path), "n_samples": made.n_samples, "scale": made.scale}
            with atomic_file(self._file(key).with_suffix(".json")) as partial:
                partial.write_text(json.dumps({**about, "envelope": [float(f"{e:.4g}") for e in made.envelope]}))
        except BaseException as error:
            with self._lock:
                self._sizes.pop(key, None)
            if not isinstance(error, EcotfError) or isinstance(error, RecordingError):
                raise
            self.problem = str(error)  # training continues without it
        return self._read(key) or decode(recording, sample_rate, channel, None)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.npy"

    def _read(self, key: str) -> DecodedSound | None:
        """None where the entry is not there, or damaged."""
        file = self._file(key)
        try:
            about = json.loads(file.with_suffix(".json").read_text())
            sound = DecodedSound(about["n_samples"], np.array(about["envelope"], np.float32), file, about["scale"])
            if len(np.load(file, mmap_mode="r")) != sound.n_samples:
                return None
            os.utime(file)  # what is used stays
            return sound
        except (OSError, EOFError, ValueError, LookupError):
            return None

    def _make_room(self, key: str, n_bytes: int) -> bool:
        with self._lock:
            self._sizes.pop(key, None)  # damaged, or it would have been read
            free = self.limit_bytes - self.held_bytes
            old = sorted(self._sizes.keys() - self._used, key=self._last_used)
            if free + sum(self._sizes[other] for other in old) < n_bytes:
                return False
            while free < n_bytes:
                other = old.pop(0)
                free += self._sizes.pop(other)
                for ending in (".json", ".npy"):
                    self._file(other).with_suffix(ending).unlink(missing_ok=True)
            self._sizes[key] = n_bytes
            return True

    def _last_used(self, key: str) -> float:
        try:
            return self._file(key).stat().st_mtime
        except OSError:
            return 0.0


def decode(recording: Sound, sample_rate: int, channel: ChannelChoice, file: Path | None) -> DecodedSound:
    """Decode a recording block by block: its length, its envelope and, where ``file`` is given, its samples in there.

    Sound beyond twice full scale (floating-point files) is decoded a second time, on a scale that holds it.
    """
    if file is None:
        n_samples, _, envelope = _pass(recording, sample_rate, channel, None, _HEADROOM)
        return DecodedSound(n_samples, envelope, None, _HEADROOM)
    scale = _HEADROOM
    n_samples, peak, envelope = _pass(recording, sample_rate, channel, file, scale)
    if peak > scale:
        scale = peak
        n_samples, _, envelope = _pass(recording, sample_rate, channel, file, scale)
    return DecodedSound(n_samples, envelope, file, scale)


def _pass(
    recording: Sound, sample_rate: int, channel: ChannelChoice, file: Path | None, scale: float
) -> tuple[int, float, np.ndarray]:
    hop = round(ENVELOPE_HOP_S * sample_rate)
    block = hop * round(_BLOCK_S / ENVELOPE_HOP_S)
    n_samples, peak, energies, before = 0, 0.0, [np.empty(0)], np.float32(0)
    samples = []
    for sound in recording.blocks(block, channel=channel, sample_rate=sample_rate):
        steps = np.square(np.diff(sound, prepend=before), dtype=np.float64)
        if n_samples == 0:
            steps[0] = 0.0
        starts = np.arange(0, len(sound), hop)
        energies.append(np.add.reduceat(steps, starts) / np.diff(np.append(starts, len(sound))))
        n_samples, peak, before = n_samples + len(sound), max(peak, float(np.abs(sound).max())), sound[-1]
        if file is not None:
            samples.append(np.clip(np.rint(sound * np.float32(_STEPS / scale)), -_STEPS, _STEPS).astype(np.int16))
    if file is not None:
        with file.open("wb") as opened:
            np.save(opened, np.concatenate([np.empty(0, np.int16), *samples]))
    # As it will be read again, so that crops are drawn alike whether the recording is kept or not.
    envelope = np.array([float(f"{energy:.4g}") for energy in np.concatenate(energies)], np.float32)
    return n_samples, peak, envelope


def _key(recording: Sound, sample_rate: int, channel: ChannelChoice) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with recording.path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    parameters = {
        "version": _CACHE_VERSION,
        "sample_rate": sample_rate,
        "channel": channel,
        "time_expansion": recording.time_expansion,
    }
    digest.update(json.dumps(parameters, sort_keys=True).encode())
    return digest.hexdigest()
