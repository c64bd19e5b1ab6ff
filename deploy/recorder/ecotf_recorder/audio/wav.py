"""WAV files, streamed: 16, 24 and 32-bit integers, 32 and 64-bit floats, also WAVE_FORMAT_EXTENSIBLE and RF64."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.audio.guano import read_notes
from ecotf_recorder.audio.riff import Riff, WavFormat, impossible_format, read_format, read_riff
from ecotf_recorder.errors import SoundError
from ecotf_recorder.times.beginning import Began, find_beginning

_PCM = 1
_KINDS = {(_PCM, 2): "<i2", (_PCM, 3): "24", (_PCM, 4): "<i4", (3, 4): "<f4", (3, 8): "<f8"}
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
    began
        When it began; None where nothing says it.
    date_note
        Why a time is left out, or that its zone is not known; empty where all is well.
    note
        That its header promises less sound than there is; empty where all is well.
    """

    path: Path
    sample_rate: int
    n_channels: int
    n_frames: int
    fields: dict[str, str] = field(repr=False)
    kind: str = field(repr=False)
    offset: int = field(repr=False)
    began: Began | None = None
    date_note: str = ""
    note: str = ""

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

    def why_silent(self, channel: int | None) -> str:
        """Say why every sample of a channel, or of the mean of all (None), is the same."""
        if channel is None and self.n_channels > 1:
            for one in range(1, self.n_channels + 1):
                least, most = math.inf, -math.inf
                for block in self.blocks(one):
                    least, most = min(least, float(block.min())), max(most, float(block.max()))
                    if least < most:
                        return f"the channels cancel; try --channel {one}"
        return "every sample is the same; a broken microphone or an empty channel"

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


def open_wav(path: str | Path, time_expansion: float | None = None, time_zone: tzinfo | None = None) -> WavFile:
    """Read the header of a WAV file and refuse what cannot be used.

    Parameters
    ----------
    time_expansion
        How many times slower than life the sound is stored; None takes what the file's metadata say, or 1.
    time_zone
        The zone of times that come without one.

    Raises
    ------
    SoundError
        ``failed``: missing or unreadable; ``corrupt``: empty, cut, with a header that cannot be true; ``unsupported``:
        another kind of file.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise SoundError("is a folder, not a recording", "failed")
        if path.stat().st_size == 0:
            raise SoundError("empty file (0 bytes)", "corrupt")
        with open(path, "rb") as file:
            riff = read_riff(file)
            if riff is None:
                raise SoundError("is not a WAV file; a recorder reads WAV alone", "unsupported")
            form = _format(riff, read_format(file, riff))
        notes = read_notes(path, riff)
    except OSError as error:
        raise SoundError(f"cannot be read ({error.strerror})", "failed") from None
    expansion = _expansion(notes.fields, form.rate, time_expansion)
    if not 0.5 < form.rate * expansion < math.inf:
        raise SoundError(
            f"a time expansion of {expansion:g} for a file of {form.rate} Hz leaves no sample rate", "corrupt"
        )
    rate = round(form.rate * expansion)
    width = form.width * form.channels
    n_frames, note = _length(riff, width, rate)
    began, date_note = find_beginning(path, notes.dated, time_zone)
    kind = _KINDS[form.tag, form.width]
    return WavFile(path, rate, form.channels, n_frames, notes.fields, kind, riff.offset, began, date_note, note)


def write_wav(path: Path, samples: NDArray[np.int16], sample_rate: int) -> None:
    """Write a WAV file of one channel, 16 bits, without a copy of the samples."""
    samples = np.ascontiguousarray(samples, "<i2")
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + samples.nbytes, b"WAVE", b"fmt ", 16, _PCM, 1, sample_rate,
                         2 * sample_rate, 2, 16)  # fmt: skip
    with open(path, "wb") as file:
        file.write(header + struct.pack("<4sI", b"data", samples.nbytes))
        file.write(samples.data)


def _format(riff: Riff, form: WavFormat | None) -> WavFormat:
    why = impossible_format(form)
    if form is None or why:
        raise SoundError(why, "corrupt")
    if riff.pieces > 1:
        raise SoundError(
            f"its sound lies in {riff.pieces} pieces, one behind the other; join them with a sound editor",
            "unsupported",
        )
    if riff.big_endian or (form.tag, form.width) not in _KINDS:
        raise SoundError(
            f"WAV of format {form.tag}, {form.bits} bits{', big-endian' if riff.big_endian else ''}; a recorder reads "
            "integers of 16, 24 and 32 bits and floats",
            "unsupported",
        )
    return form


def _length(riff: Riff, width: int, rate: int) -> tuple[int, str]:
    """Samples per channel, and a note where the header promises less."""
    frames = riff.held // width
    held = f"{frames / rate:.3f} s"
    promised = f"its header promises {(riff.promised or 0) // width / rate:.3f} s"
    if riff.is_cut:
        raise SoundError(f"truncated: {promised} of sound, it holds {held if frames else 'none'}", "corrupt")
    if frames == 0:
        raise SoundError("holds a header, but no sound (0 samples)", "corrupt")
    return frames, f"{promised}, it holds {held}" if riff.is_longer else ""


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
