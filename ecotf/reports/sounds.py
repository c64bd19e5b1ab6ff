"""A part of a recording as a browser takes it: sound that can be heard, and its spectrogram."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from ecotf.audio.fades import faded
from ecotf.audio.hdf5_rows import file_of
from ecotf.audio.recording import open_recording
from ecotf.audio.resample import resample
from ecotf.errors import RecordingError
from ecotf.features import BandSpectrogramConfig, build_spectrogram
from ecotf.tasks.reported import Place

_SLOWER = 10
"""Ultrasound is played so many times slower than life."""
_ULTRASOUND_HZ = 24_000.0
_SLOWEST_HZ, _FASTEST_HZ = 8_000, 32_000
_SMALL_HZ = 24_000
_LONGEST_S = 10.0
_COLUMNS, _ROWS = 640, 160
_LOUDEST = 0.9
_FADE_S = 0.005
"""As it is heard, so that a cut is no click."""


@dataclass(frozen=True)
class Excerpt:
    """Sound and picture of a place.

    Attributes
    ----------
    sound
        The bytes of a sound file of ``sound_kind``, a media type; faded in and out.
    picture
        The bytes of a PNG.
    start_s, end_s, low_hz, high_hz
        What the picture shows, in real time and hertz.
    slower
        How many times slower than life it is played.
    louder
        By what the samples were multiplied so that one hears them.
    """

    sound: bytes
    sound_kind: str
    picture: bytes
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    slower: int
    louder: float

    @property
    def sound_uri(self) -> str:
        """The sound as a data URI."""
        return _uri(self.sound_kind, self.sound)

    @property
    def picture_uri(self) -> str:
        """The picture as a data URI."""
        return _uri("image/png", self.picture)

    def notes(self, place: Place) -> list[str]:
        """Say what a listener must know: how much slower and louder it is, and whether it is all of the place."""
        notes = []
        if self.slower != 1:
            notes.append(f"time-expanded: played {self.slower} times slower, so that one hears ultrasound")
        if self.louder > 1.5:
            notes.append(f"made {self.louder:.0f} times louder" if self.louder < 1e4 else "made much louder")
        if self.end_s < (place.end_s if place.box is None else place.box[1]) - 0.05:
            notes.append(f"the first {self.end_s - self.start_s:.1f} s")
        return notes

    def box_of(self, place: Place) -> tuple[float, float, float, float] | None:
        """Return left, top, width and height of the place's box, as shares of the picture; None without a box."""
        if place.box is None:
            return None
        start, end, low, high = place.box
        low, high = (self.low_hz if low != low else low), (self.high_hz if high != high else high)
        wide, tall = self.end_s - self.start_s, self.high_hz - self.low_hz
        left, right = (min(max((t - self.start_s) / wide, 0), 1) for t in (start, end))
        top, foot = (min(max((self.high_hz - f) / tall, 0), 1) for f in (high, low))
        return left, top, right - left, foot - top


def read_excerpt(
    place: Place, band_hz: tuple[float, float], channel: Any, small: bool = False, zoom: float = 1.0
) -> Excerpt:
    """Read a place; raises `RecordingError`, in one sentence, where the recording is gone or damaged.

    ``small`` takes a fifth of the room: half the picture, and sound as MP3, for pages with hundreds of places. With
    ``zoom`` 4, the picture shows the lower quarter of the band.
    """
    if place.path is None or not os.path.exists(file_of(place.path)):  # pathlib raises for too long a name
        raise RecordingError("the recording is no longer there", "failed")
    recording = open_recording(place.path, time_expansion=place.time_expansion, salvage=place.salvage)
    ultrasound = band_hz[1] > _ULTRASOUND_HZ and recording.sample_rate > 2 * _ULTRASOUND_HZ
    slower = _SLOWER if ultrasound else 1
    start = min(place.start_s, recording.duration_s)
    end = min(place.end_s, recording.duration_s, start + _LONGEST_S / slower)
    if end - start < 0.001:
        raise RecordingError(f"the recording is only {recording.duration_s:.2f} s long now", "failed")
    sound = recording.read(start, end, channel=channel if channel != "each" else "mix")
    rate = recording.sample_rate
    low, high = max(0.0, band_hz[0]), min(band_hz[1], rate / 2)
    if high - low < rate / 50:
        low, high = 0.0, rate / 2
    high = low + (high - low) / zoom
    heard_hz = round(rate / slower)
    play_hz = _SMALL_HZ if small else min(max(heard_hz, _SLOWEST_HZ), _FASTEST_HZ)
    audible, louder = _louder(resample(sound, heard_hz, play_hz))
    picture = _picture(sound, rate, low, high, 2 if small else 1)
    kind = ("audio/mpeg", "MP3", "MPEG_LAYER_III") if small else ("audio/wav", "WAV", "PCM_16")
    written = _sound_file(faded(audible, min(_FADE_S, len(audible) / play_hz), play_hz), play_hz, *kind[1:])
    return Excerpt(written, kind[0], picture, start, end, low, high, slower, louder)


def _louder(sound: np.ndarray) -> tuple[np.ndarray, float]:
    """Bring the loudest sample near full scale: field recordings are quiet."""
    peak = float(np.abs(sound).max(initial=0.0))
    factor = 1.0 if peak == 0 else _LOUDEST / peak
    return np.asarray(sound * np.float32(factor), np.float32), factor


def _sound_file(sound: np.ndarray, sample_rate: int, kind: str, subtype: str) -> bytes:
    with io.BytesIO() as held:
        soundfile.write(held, sound, sample_rate, format=kind, subtype=subtype)
        return held.getvalue()


def _picture(sound: np.ndarray, sample_rate: int, low_hz: float, high_hz: float, coarser: int) -> bytes:
    """Draw decibels, dark for loud: from the median, which is noise, to the loudest."""
    span = len(sound) / sample_rate
    window_s = min(_ROWS / coarser / (high_hz - low_hz), span / 4)
    if (high_hz - low_hz) * window_s < 4:  # very short sound: coarse rows
        window_s = 4 / (high_hz - low_hz)
    config = BandSpectrogramConfig(
        window_s=window_s, hop_s=max(span * coarser / _COLUMNS, 2 / sample_rate), low_hz=low_hz, high_hz=high_hz,
        scale="db", centred=True, padding="constant", smooth_sigma=0.0,
    )  # fmt: skip
    levels = build_spectrogram(config, sample_rate)(np.ascontiguousarray(sound, np.float32))
    quiet, loud = np.percentile(levels, [50, 99.9])
    shade = np.clip((levels - quiet) / max(loud - quiet, 6.0), 0, 1)
    return png(np.round(255 * (1 - shade.T[::-1])).astype(np.uint8))


def png(image: np.ndarray) -> bytes:
    """Write grey values, uint8 ``[rows, columns]``, the upper row first, as a PNG file."""
    rows, columns = image.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), image], axis=1).tobytes()

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
