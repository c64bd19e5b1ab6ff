"""Open the sound of a file with libsndfile: as it is, or past what a wrong header says."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from ecotf.audio.riff import Riff, WavFormat

UNKNOWN_LENGTH = 1 << 62
"""libsndfile says 2**63 - 1 for a FLAC that was streamed."""

_SUBTYPES = {
    **{(1, 1): "PCM_U8", (1, 2): "PCM_16", (1, 3): "PCM_24", (1, 4): "PCM_32"},
    **{(3, 4): "FLOAT", (3, 8): "DOUBLE", (6, 1): "ALAW", (7, 1): "ULAW"},
}

WIDTHS = {"PCM_S8": 1, **{subtype: width for (_, width), subtype in _SUBTYPES.items()}}
"""Bytes of one sample, by libsndfile's name of the subtype."""


class SoundFile(soundfile.SoundFile):
    """A sound file that soundfile does not seek after every read: in an MP3 that breaks the frame that follows."""

    def seekable(self) -> bool:
        """Say no, so that soundfile leaves seeking to the caller."""
        return False


@dataclass(frozen=True)
class Opening:
    """How to open the sound of one file.

    Attributes
    ----------
    start, end
        Where libsndfile begins to read, in bytes, and where the file seems to end; None for its true end.
    raw
        Subtype, channels, rate and byte order of sound without a header; None reads the header.
    patches
        Bytes that stand for others: position (from ``start``) and content.
    """

    start: int = 0
    end: int | None = None
    raw: tuple[str, int, int, str] | None = None
    patches: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)

    def open(self, path: Path) -> SoundFile:
        """Open it; the name may hold any bytes, since libsndfile never sees it."""
        if self == Opening():
            return SoundFile(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)), closefd=True)
        view = _View(path.open("rb"), self.start, self.end, self.patches)
        try:
            if self.raw is None:
                return _OfView(view)
            subtype, channels, rate, endian = self.raw
            return _OfView(view, format="RAW", subtype=subtype, channels=channels, samplerate=rate, endian=endian)
        except soundfile.LibsndfileError:
            view.close()
            raise


def raw_opening(riff: Riff, form: WavFormat) -> Opening | None:
    """Return how to read a WAV file's sound whatever its sizes say; None for sound that is compressed."""
    subtype = _SUBTYPES.get((form.tag, form.width))
    endian = "BIG" if riff.big_endian else "LITTLE"
    return None if subtype is None else Opening(riff.offset, raw=(subtype, form.channels, form.rate, endian))


class _OfView(SoundFile):
    """A sound file behind a view, which it closes."""

    def __init__(self, view: _View, **arguments: Any) -> None:
        self._view = view
        super().__init__(view, **arguments)

    def close(self) -> None:
        super().close()
        self._view.close()


class _View(io.RawIOBase):
    """A part of a file, with some bytes replaced."""

    def __init__(self, file: BinaryIO, start: int, end: int | None, patches: tuple[tuple[int, bytes], ...]) -> None:
        self._file, self._start, self._patches = file, start, patches
        self._length = (os.fstat(file.fileno()).st_size if end is None else end) - start
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        self._file.seek(self._start + self._position)
        there = memoryview(buffer).cast("B")
        there = there[: max(0, self._length - self._position)]
        n = self._file.readinto(there)  # type: ignore[attr-defined]
        for at, content in self._patches:
            first, last = max(at, self._position), min(at + len(content), self._position + n)
            if first < last:
                there[first - self._position : last - self._position] = content[first - at : last - at]
        self._position += n
        return int(n)

    def close(self) -> None:
        self._file.close()
        super().close()
