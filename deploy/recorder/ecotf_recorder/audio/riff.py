"""Find the sound and the metadata of a WAV file, also where its header does not say truly what the file holds.

The recorder has this same file: it needs the standard library alone.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

SLACK = 64  # bytes; some recorders count their own header as sound
_JUNK = 1024  # bytes; so little behind the sound is not sound
_TAIL = (
    1 << 17
)  # bytes at the end of a file in which metadata are looked for; fewer, and fewer names, where sizes agree
_SHORT_TAIL = 1 << 14
_MOST_CHUNKS = 1000
_OPEN = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_PLACEHOLDER = 4096  # bytes; programs that do not know the length write one of these sizes, or a little less
_WHOLE, _STEP, _SAMPLE = 1 << 26, 1 << 20, 1 << 12  # bytes that are looked at in full; behind, 4 KiB of every MiB
_METADATA = (
    *(b"guan", b"wamd", b"LIST", b"bext", b"iXML", b"axml", b"_PMX", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"inst"),
    *(b"fact", b"PEAK", b"JUNK", b"junk", b"PAD ", b"FLLR", b"afsp", b"umid", b"DISP"),
)
_NAME = re.compile(rb"[ -~]{4}")
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICS")  # what MP3 programs put behind the sound of any file
_FILES = (b"RIFF", b"RF64", b"BW64", b"RIFX")
_KNOWN = frozenset((*_METADATA, *_FILES, b"data", b"fmt ", b"ds64"))


class RiffChunk(NamedTuple):
    """One chunk of a WAV file, in bytes.

    ``size`` is what its header promises, or None where that is left open; ``available`` is what the file holds from
    ``offset`` on.
    """

    name: bytes
    offset: int
    size: int | None
    available: int


@dataclass(frozen=True)
class Riff:
    """Content of a WAV file.

    Attributes
    ----------
    chunks
        All but the sound.
    offset, held
        Where the sound begins, and its length in bytes; 0 where there is none.
    promised
        Its length after the header; None where the header leaves it open.
    pieces
        How many pieces of sound there are; only the first is described.
    big_endian
        Whether numbers begin with their highest byte (RIFX).
    """

    chunks: tuple[RiffChunk, ...]
    offset: int
    held: int
    promised: int | None
    pieces: int
    big_endian: bool

    @property
    def is_cut(self) -> bool:
        """True if the header gives more sound than the file has."""
        return self.promised is not None and self.promised > self.held + SLACK

    @property
    def is_longer(self) -> bool:
        """True if the file has more sound than the header gives."""
        return self.promised is not None and self.held > self.promised + SLACK


class WavFormat(NamedTuple):
    """Storage of the samples: the tag and the bits of ``fmt ``, and the bytes of one sample; 0 if compressed."""

    tag: int
    channels: int
    rate: int
    bits: int
    width: int


def read_riff(file: BinaryIO) -> Riff | None:
    """Find the chunks and the sound of a WAV file (RIFF, RIFX, RF64, BW64); None for other files. Reads no sound."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(12)
    if start[:4] not in _FILES or start[8:] != b"WAVE":
        return None
    order = ">" if start[:4] == b"RIFX" else "<"
    walk = _Walk(file, length, order)
    found: list[RiffChunk] = []
    offset, held, pieces, promised, long_size = 0, 0, 0, None, None
    position: int | None = 12
    while position is not None and len(found) < _MOST_CHUNKS:
        chunk = walk.chunk_at(position)
        if chunk is None:
            break
        size, behind = chunk.size or 0, None
        if chunk.name == b"ds64" and chunk.available >= 16:
            long_size = struct.unpack(order + "8xQ", walk.read(chunk.offset, 16))[0]  # of RF64: over 4 GiB
        if chunk.name == b"data":
            if size == 0xFFFFFFFF and long_size is not None:
                size = long_size
            size, stated, behind = walk.sound(chunk.offset, size)
            if size > 0:
                pieces += 1
            if pieces <= 1:
                offset, held, promised = chunk.offset, size, stated
        elif chunk.name in _FILES:
            pieces += 1  # another WAV file was put behind this one
        else:
            found.append(chunk)
        position = walk.next_chunk(chunk.offset + size, size % 2) if behind is None else behind
    return Riff(tuple(found), offset, held, promised, pieces, order == ">")


def read_format(file: BinaryIO, riff: Riff) -> WavFormat | None:
    """Read the ``fmt `` chunk; None where it is missing or too short."""
    chunk = next((chunk for chunk in riff.chunks if chunk.name == b"fmt "), None)
    if chunk is None or min(chunk.available, chunk.size or 0) < 16:
        return None
    file.seek(chunk.offset)
    header = file.read(min(chunk.size or 16, 40))
    order = ">" if riff.big_endian else "<"
    tag, channels, rate, _, block, bits = struct.unpack_from(order + "HHIIHH", header)
    if tag == 0xFFFE and len(header) >= 26:
        tag = struct.unpack_from(order + "H", header, 24)[0]  # the first two bytes of the sub-format
    width = block // channels if channels and block % channels == 0 else 0
    if tag not in (1, 3, 6, 7):
        width = 0
    elif not 0 < bits <= width * 8 <= 64:
        width = (bits + 7) // 8
    return WavFormat(tag, channels, rate, bits, width)


def impossible_format(found: WavFormat | None) -> str:
    """Say why a header cannot be true; empty where it can.

    Examples
    --------
    >>> impossible_format(WavFormat(1, 1, 0, 16, 2))
    'its header gives a sample rate of 0'
    """
    if found is None:
        return "damaged: its header does not say how the sound is stored"
    if found.rate == 0:
        return "its header gives a sample rate of 0"
    if found.rate > 20_000_000:
        return f"its header gives a sample rate of {found.rate} Hz"
    if not 1 <= found.channels <= 1024:
        return f"its header gives {found.channels} channels"
    if found.tag in (1, 3) and not 1 <= found.bits <= 64:
        return f"its header gives {found.bits} bits a sample"
    return ""


def is_blank(file: BinaryIO, start: int, end: int) -> bool:
    """Check that a file has only zeros, or only bytes of 255, from ``start`` to ``end``.

    Holes are skipped. Of more than 64 MiB only some of each MiB is looked at, and the last MiB.
    """
    fills = {fill: fill * _STEP for fill in (b"\0", b"\xff")}
    position, kind = start, b""
    while position < end:
        data = _next_data(file, position)
        if data > position:
            kind = kind or b"\0"
            position = data
            if position >= end:
                break
        in_full = position < start + _WHOLE or position >= end - _STEP
        file.seek(position)
        content = file.read(min(_STEP if in_full else _SAMPLE, end - position))
        kind = kind or content[:1]
        if kind not in fills or content != fills[kind][: len(content)]:
            return False
        position = position + len(content) if in_full else min(position + _STEP, end - _STEP)
    return True


def _next_data(file: BinaryIO, position: int) -> int:
    """Find the file's next stored byte after a hole; the position itself if that is not known."""
    try:
        descriptor = file.fileno()
        here = os.lseek(descriptor, 0, os.SEEK_CUR)
    except (OSError, ValueError):  # no file of a disk
        return position
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except (AttributeError, OSError) as error:
        return sys.maxsize if getattr(error, "errno", 0) == errno.ENXIO else position
    finally:
        os.lseek(descriptor, here, os.SEEK_SET)


class _Walk:
    """The chunks of one file."""

    def __init__(self, file: BinaryIO, length: int, order: str) -> None:
        self._file, self._length, self._order = file, length, order

    def read(self, offset: int, n: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(n)

    def chunk_at(self, position: int) -> RiffChunk | None:
        """Return the chunk whose header stands at a position, if one does."""
        header = self.read(position, 8)
        if len(header) < 8 or not _NAME.fullmatch(header[:4]):
            return None
        size = struct.unpack(self._order + "I", header[4:])[0]
        return RiffChunk(header[:4], position + 8, size, self._length - position - 8)

    def next_chunk(self, end: int, odd: int) -> int | None:
        """Find the start of the chunk after ``end``: after the pad byte, which some programs leave out."""
        for position in (end + odd, end) if odd else (end,):
            chunk = self.chunk_at(position)
            if chunk is not None and (chunk.name in _KNOWN or (chunk.size or 0) <= chunk.available):
                return position
        return None

    def sound(self, offset: int, stated: int) -> tuple[int, int | None, int | None]:
        """Count the bytes of sound in the file and in the header, and find the metadata after them.

        None stands for a promise that the header leaves open, and for metadata that follow at once or not at all.
        """
        end = offset + stated
        if end <= self._length and self._leads_on(end, stated % 2):
            return stated, stated, None
        is_open = stated == 0 or any(size - _PLACEHOLDER < stated <= size for size in _OPEN)
        metadata = self._metadata(offset, agrees=end in (self._length, self._length - 1))
        whole = (self._length if metadata is None else metadata) - offset
        rest = whole - stated
        if end > self._length:
            return whole, None if is_open or abs(rest) <= SLACK else stated, metadata
        if metadata is not None and rest <= SLACK:  # its size is a few bytes wrong, or counts the metadata
            return (stated if 0 <= rest <= 1 else whole), None, metadata
        if rest <= min(_JUNK, stated // 100) or self.read(end, 8).startswith(_TAGS):
            return stated, stated, metadata
        if is_blank(self._file, end, offset + whole):
            return stated, stated, metadata
        return whole, None if is_open and stated > 0 else stated, metadata

    def _leads_on(self, end: int, odd: int) -> bool:
        """Check that chunks follow: a known one, or others up to the end of the file or to its zeros."""
        position = first = self.next_chunk(end, odd)
        for _ in range(_MOST_CHUNKS):
            if position is None:
                return first is not None and is_blank(self._file, min(end, self._length), self._length)
            chunk = self.chunk_at(position)
            assert chunk is not None
            if position == first and chunk.name in _KNOWN:
                return True
            end = chunk.offset + (chunk.size or 0)
            position = self.next_chunk(end, (chunk.size or 0) % 2)
        return True

    def _metadata(self, offset: int, agrees: bool) -> int | None:
        """Find metadata after ``offset`` that end exactly at the end of the file, if there are any."""
        size, names = (_SHORT_TAIL, _METADATA[:3]) if agrees else (_TAIL, _METADATA)
        first = max(offset, self._length - size)
        tail = self.read(first, self._length - first)
        for start in sorted(start for name in names for start in _all(name, tail)):
            position: int | None = first + start
            end = 0
            while position is not None:
                chunk = self.chunk_at(position)
                if chunk is None or (chunk.size or 0) > chunk.available:
                    break
                end = chunk.offset + (chunk.size or 0)
                position = self.next_chunk(end, (chunk.size or 0) % 2)
            if end and 0 <= self._length - end <= 1:
                return first + start
        return None


def _all(part: bytes, content: bytes) -> Iterator[int]:
    start = content.find(part)
    while start >= 0:
        yield start
        start = content.find(part, start + 1)


def riff_chunks(file: BinaryIO) -> Iterator[RiffChunk]:
    """Go through the chunks of a WAV file in the order of the file, the sound among them as ``data``."""
    riff = read_riff(file)
    if riff is not None:
        sound = [RiffChunk(b"data", riff.offset, riff.held, riff.held)] if riff.offset else []
        yield from sorted([*riff.chunks, *sound], key=lambda chunk: chunk.offset)
