"""WAV files, streamed: 16, 24 and 32-bit integers, 32 and 64-bit floats, also WAVE_FORMAT_EXTENSIBLE and RF64."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.audio.guano import read_fields
from ecotf_recorder.audio.riff import Chunk, chunks
from ecotf_recorder.errors import SoundError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS = {(_PCM, 16): "<i2", (_PCM, 24): "24", (_PCM, 32): "<i4", (_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}
_HEADER_SLACK = 64  # bytes; some recorders count their own header as sound
_AT_ONCE = 1 << 16  # frames that are read at a time


@dataclass(frozen=True)
class WavFile:
    """A WAV file whose header has been read; see `open_wav`.

    Attributes
    ----------
    sample_rate
        The real rate in Hz: the rate in the header times the time expansion.
    n_frames
        Samples per channel.
    fields
        What the recorder noted, under GUANO names.
    """

    path: Path
    sample_rate: int
    n_channels: int
    n_frames: int
    fields: dict[str, str] = field(repr=False)
    kind: str = field(repr=False)
    offset: int = field(repr=False)

    @property
    def duration_s(self) -> float:
        """The length in seconds of real time."""
        return self.n_frames / self.sample_rate

    def blocks(self, channel: int | None = None) -> Iterator[NDArray[Any]]:
        """Stream the sound of one channel, counted from 1, or the mean of all (None): int16 or float32 in [-1, 1]."""
        if channel is not None and not 1 <= channel <= self.n_channels:
            count = "1 channel" if self.n_channels == 1 else f"{self.n_channels} channels"
            raise SoundError(f"channel {channel} was asked for, it has {count}", "unsupported")
        width = 3 if self.kind == "24" else np.dtype(self.kind).itemsize
        frame = width * self.n_channels
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                done = 0
                while done < self.n_frames:
                    content = file.read(min(_AT_ONCE, self.n_frames - done) * frame)
                    n = len(content) // frame
                    if n == 0:
                        raise SoundError(f"truncated: it ends after {done / self.sample_rate:.3f} s", "corrupt")
                    yield self._one(
                        _samples(content[: n * frame], self.kind).reshape(n, self.n_channels), channel, done
                    )
                    done += n
        except OSError as error:
            raise SoundError(f"cannot be read ({error.strerror})", "failed") from None

    def _one(self, samples: NDArray[Any], channel: int | None, done: int) -> NDArray[Any]:
        if samples.dtype != np.int16 and not np.isfinite(samples).all():
            bad = done + int(np.argwhere(~np.isfinite(samples))[0][0])
            raise SoundError(
                f"the sample at {bad / self.sample_rate:.6f} s is not a number (NaN or infinite)", "corrupt"
            )
        if self.n_channels == 1:
            return samples[:, 0]
        if channel is not None:
            return np.ascontiguousarray(samples[:, channel - 1])
        scaled = samples * np.float32(1 / 32768) if samples.dtype == np.int16 else samples
        return np.asarray(scaled @ np.full(self.n_channels, 1 / self.n_channels, np.float32), np.float32)


def open_wav(path: str | Path, time_expansion: float | None = None) -> WavFile:
    """Read the header of a WAV file and refuse what cannot be used.

    Parameters
    ----------
    time_expansion
        How many times slower than life the sound is stored; None takes what the file's GUANO says, or 1.

    Raises
    ------
    SoundError
        ``failed``: missing or unreadable; ``corrupt``: empty, cut, unfinished; ``unsupported``: another kind of file.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise SoundError("is a folder, not a recording", "failed")
        if path.stat().st_size == 0:
            raise SoundError("empty file (0 bytes)", "corrupt")
        with open(path, "rb") as file:
            found = {chunk.name: chunk for chunk in chunks(file)}
            if not found:
                raise SoundError("is not a WAV file; a recorder reads WAV alone", "unsupported")
            rate, n_channels, kind = _format(file, found.get(b"fmt "))
        fields = read_fields(path)
    except OSError as error:
        raise SoundError(f"cannot be read ({error.strerror})", "failed") from None
    data = found.get(b"data")
    if data is None:
        raise SoundError("holds a header, but no sound (0 samples)", "corrupt")
    width = n_channels * (3 if kind == "24" else np.dtype(kind).itemsize)
    promised = data.available if data.size is None else data.size
    _check_whole(data, promised)
    n_frames = min(promised, data.available) // width
    if n_frames == 0:
        raise SoundError("holds a header, but no sound (0 samples)", "corrupt")
    expansion = _expansion(fields, rate, time_expansion)
    if not 0.5 < rate * expansion < math.inf:
        raise SoundError(f"a time expansion of {expansion:g} for a file of {rate} Hz leaves no sample rate", "corrupt")
    return WavFile(path, round(rate * expansion), n_channels, n_frames, fields, kind, data.offset)


def write_wav(path: Path, samples: NDArray[np.int16], sample_rate: int) -> None:
    """Write a WAV file of one channel, 16 bits, without a copy of the samples."""
    samples = np.ascontiguousarray(samples, "<i2")
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + samples.nbytes, b"WAVE", b"fmt ", 16, _PCM, 1, sample_rate,
                         2 * sample_rate, 2, 16)  # fmt: skip
    with open(path, "wb") as file:
        file.write(header + struct.pack("<4sI", b"data", samples.nbytes))
        file.write(samples.data)


def _format(file: BinaryIO, chunk: Chunk | None) -> tuple[int, int, str]:
    if chunk is None or min(chunk.available, 16 if chunk.size is None else chunk.size) < 16:
        raise SoundError("damaged: its header does not say how the sound is stored", "corrupt")
    file.seek(chunk.offset)
    header = file.read(min(chunk.size or 16, 40))
    tag, n_channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", header)
    if tag == _EXTENSIBLE and len(header) >= 26:
        tag = struct.unpack_from("<H", header, 24)[0]  # the first two bytes of the sub-format's GUID
    kind = _KINDS.get((tag, bits))
    if kind is None:
        raise SoundError(
            f"WAV of format {tag}, {bits} bits; a recorder reads integers of 16, 24 and 32 bits and floats",
            "unsupported",
        )
    if n_channels < 1 or rate < 1:
        raise SoundError(f"damaged: its header says {n_channels} channels at {rate} Hz", "corrupt")
    return rate, n_channels, kind


def _samples(content: bytes, kind: str) -> NDArray[Any]:
    """int16 as it is, all else as float32 in [-1, 1]."""
    if kind == "<i2":
        return np.frombuffer(content, "<i2").astype(np.int16, copy=False)
    if kind == "24":
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)
    if kind == "<i4":
        return np.frombuffer(content, "<i4").astype(np.float32) * np.float32(2.0**-31)
    return np.frombuffer(content, kind).astype(np.float32)


def _check_whole(data: Chunk, promised: int) -> None:
    if data.size == 0 and data.available > 1024:
        raise SoundError(
            f"unfinished: its header promises no sound, but {data.available} bytes follow; the recorder was cut off",
            "corrupt",
        )
    if promised > data.available + _HEADER_SLACK:
        raise SoundError(
            f"truncated: its header promises {promised} bytes of sound, it holds {data.available}", "corrupt"
        )


def _expansion(fields: dict[str, str], rate: int, stated: float | None) -> float:
    """The time expansion, from what is stated alone, never by a guess."""
    try:
        noted = float(fields.get("TE") or 1)
        true_rate = float(fields.get("Samplerate") or 0)
    except ValueError:
        raise SoundError("its metadata give a TE or Samplerate that is not a number", "unsupported") from None
    if not math.isfinite(noted) or not math.isfinite(true_rate):
        raise SoundError(f"its metadata give a TE of {noted:g} and a Samplerate of {true_rate:g}", "corrupt")
    if stated is not None:
        return stated
    noted = noted if noted > 0 else 1.0  # some firmware writes 0 for "not used"
    if true_rate > 0 and abs(true_rate / rate - noted) > 0.01 * max(true_rate / rate, noted):
        raise SoundError(
            f"its metadata contradict themselves: TE {noted:g} and Samplerate {true_rate:g} Hz, file of {rate} Hz; "
            "state the time expansion", "unsupported",
        )  # fmt: skip
    return noted
