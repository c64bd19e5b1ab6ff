"""Spectrograms of whole recordings, computed once and kept on disk under a key that a stale entry cannot have."""

from __future__ import annotations

import contextlib
import hashlib
import json
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.audio.recording import Recording, open_recording
from ecotf.errors import ConfigError, RecordingError
from ecotf.features import SpectrogramStream
from ecotf.features.spectrogram import BandSpectrogram, BandSpectrogramConfig
from ecotf.files import atomic_file

# Raised whenever the numbers of the spectrogram change, so that what an older version stored is not read.
_STORE_VERSION = 1
_BLOCK_S = 1.0


@dataclass(frozen=True)
class StoredSpectrogram:
    """The spectrogram of one recording.

    Attributes
    ----------
    values
        float32 ``[slices, rows]``, lowest frequency first; a memory map when it comes from disk.
    hop_s
        Seconds from one slice to the next.
    nominal_hop_s
        The same as the recipe states it, before it became a whole number of samples; alike at every sample rate.
    offset_s
        Time of the middle of slice 0.
    frequencies_hz
        Middle of each row.
    seconds_used
        Wall-clock time that it took to read the sound and to compute.
    """

    values: np.ndarray
    hop_s: float
    nominal_hop_s: float
    offset_s: float
    frequencies_hz: np.ndarray
    duration_s: float
    sample_rate: int
    seconds_used: float

    def slice_at(self, time_s: float) -> int:
        """Index of the slice whose middle is nearest to ``time_s``."""
        return round((time_s - self.offset_s) / self.hop_s)


def compute_spectrogram(
    recording: Recording,
    config: BandSpectrogramConfig,
    channel: ChannelChoice = "mix",
    file: Path | None = None,
) -> StoredSpectrogram:
    """Compute the spectrogram of a whole recording, block by block.

    Parameters
    ----------
    file
        A ``.npy`` file to put the values in; memory then holds a block, not the recording (an hour at 384 kHz is 6 GB).
    """
    began = perf_counter()
    spectrogram = BandSpectrogram(config, recording.sample_rate)
    parts = _parts(spectrogram.stream(), recording, channel)
    if file is None:
        values = np.concatenate(list(parts))
    else:
        shape = spectrogram.n_frames(recording.n_frames), spectrogram.n_rows
        # Written, not mapped: on a full disk a write is an error, but a store into a mapped file ends the process.
        with file.open("wb") as opened:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(opened, header)
            for part in parts:
                opened.write(part.tobytes())
        values = np.load(file, mmap_mode="r")
    return _stored(values, spectrogram, recording, perf_counter() - began)


def _parts(stream: SpectrogramStream, recording: Recording, channel: ChannelChoice) -> Iterator[np.ndarray]:
    for block in recording.blocks(round(_BLOCK_S * recording.sample_rate), channel=channel):
        yield stream.push(block)
    yield stream.finish()


def _stored(
    values: np.ndarray, spectrogram: BandSpectrogram, recording: Recording, seconds_used: float
) -> StoredSpectrogram:
    return StoredSpectrogram(
        values,
        spectrogram.hop_s,
        spectrogram.config.hop_s,
        spectrogram.offset_s,
        spectrogram.frequencies_hz,
        recording.duration_s,
        recording.sample_rate,
        seconds_used,
    )


class SpectrogramStore:
    """Spectrograms by recording, kept in ``folder``.

    The key is a digest of the recording's *bytes*, the spectrogram's parameters, the channel and the time expansion:
    an edited recording or a changed parameter has another key, so a stale entry is never read.

    Parameters
    ----------
    folder
        Where the ``.npy`` files go; made when needed. ``None`` keeps nothing on disk.
    """

    def __init__(
        self,
        folder: Path | None,
        config: BandSpectrogramConfig,
        channel: ChannelChoice = "mix",
        open_file: Callable[..., Recording] = open_recording,
    ) -> None:
        self.folder = folder
        self.config = config
        self.channel = channel
        self._open = open_file
        self._memory: dict[tuple[str, float | None], StoredSpectrogram] = {}
        if folder is not None:
            _allow_open_files()

    def get(self, path: Path, time_expansion: float | None = None) -> StoredSpectrogram:
        """Return the spectrogram of the recording at ``path``; raises `RecordingError` as `open_recording` does."""
        known = self._memory.get((str(path), time_expansion))
        if known is None:
            known = self._load_or_compute(path, time_expansion)
            self._memory[str(path), time_expansion] = known
        return known

    def _load_or_compute(self, path: Path, time_expansion: float | None) -> StoredSpectrogram:
        recording = self._open(path, time_expansion=time_expansion)
        try:
            spectrogram = BandSpectrogram(self.config, recording.sample_rate)
        except ConfigError as error:
            raise RecordingError(str(error), "unsupported") from None
        if self.folder is None:
            return compute_spectrogram(recording, self.config, self.channel)
        target = self.folder / f"{self._key(recording)}.npy"
        kept = _read(target)
        if kept is None:
            with atomic_file(target) as partial:
                computed = compute_spectrogram(recording, self.config, self.channel, partial)
            with atomic_file(target.with_suffix(".json")) as partial:
                partial.write_text(json.dumps({"recording": str(path), "seconds_used": computed.seconds_used}))
            kept = _read(target) or (computed.values, computed.seconds_used)
        return _stored(kept[0], spectrogram, recording, kept[1])

    def _key(self, recording: Recording) -> str:
        digest = hashlib.blake2b(digest_size=16)
        with recording.path.open("rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                digest.update(chunk)
        parameters = {
            "version": _STORE_VERSION,
            "spectrogram": self.config.model_dump(),
            "channel": self.channel,
            "time_expansion": recording.time_expansion,
        }
        digest.update(json.dumps(parameters, sort_keys=True).encode())
        return digest.hexdigest()


def _allow_open_files() -> None:
    """Each spectrogram on disk holds a file open; the usual limit of 1,024 is less than a season's recordings."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _read(target: Path) -> tuple[np.ndarray, float] | None:
    """The values that are kept and the seconds they took; None where they are not there, or damaged."""
    try:
        seconds_used = json.loads(target.with_suffix(".json").read_text())["seconds_used"]
        return np.load(target, mmap_mode="r"), seconds_used
    except (OSError, EOFError, ValueError, LookupError):
        return None
