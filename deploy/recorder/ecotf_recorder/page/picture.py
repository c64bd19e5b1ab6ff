"""A small spectrogram of a clip, as a PNG with 16 colours."""

from __future__ import annotations

import struct
import wave
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 192, 64
_WINDOW = 256
_WINDOWS = 8 * WIDTH  # of a clip, at the most: a column is the loudest of some of them
_RANGE_DB = 36.0  # from the background up
_COLOURS = [(min(255, 26 * level), max(0, 19 * level - 80), max(0, 80 - 4 * level)) for level in range(16)]
_PALETTE = bytes(channel for colour in _COLOURS for channel in colour)  # from dark blue over red to yellow


def picture(path: Path) -> bytes:
    """Draw the whole clip: time to the right, from 0 Hz at the bottom to half the sample rate at the top.

    Raises
    ------
    OSError, ValueError
        There is no such clip, or none that a recorder wrote.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2 or file.getnchannels() != 1:
                raise ValueError(f"{path}: not a clip of a recorder")
            n = file.getnframes()
            hop = max(_WINDOW // 2, -(-max(0, n - _WINDOW) // _WINDOWS))
            sound = np.frombuffer(file.readframes(n), "<i2")
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path}: {error}") from None
    if len(sound) < _WINDOW:
        raise ValueError(f"{path}: too short for a picture")
    windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::hop]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW).astype(np.float32)))[:, 1:] ** 2
    rows = power.reshape(len(power), HEIGHT, -1).max(axis=2)
    starts = np.arange(WIDTH) * len(rows) // WIDTH
    level = 10 * np.log10(np.maximum.reduceat(rows, np.unique(starts), axis=0) + 1.0)
    level = level[np.searchsorted(np.unique(starts), starts)]
    above = (level - np.median(level, axis=0)) / _RANGE_DB
    return _png(np.clip(np.rint(15 * above), 0, 15).astype(np.uint8).T[::-1])


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Write colours of the palette, ``[rows, columns]``, two to a byte."""
    packed = (pixels[:, ::2] << 4) | pixels[:, 1::2]
    lines = np.pad(packed, ((0, 0), (1, 0)))  # each line begins with its filter, which is none
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 4, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", _PALETTE), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, content) for kind, content in parts)


def _part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
