"""Compare what the headers of AIFF, CAF, AU and Wave64 files promise with what the files hold, in bytes of sound."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO, NamedTuple

from ecotf.audio.riff import SLACK, is_blank

_W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_MOST_CHUNKS = 1000


class SoundSize(NamedTuple):
    """Bytes of sound after the header and in the file."""

    promised: int
    held: int

    @property
    def is_cut(self) -> bool:
        """Whether the header promises more sound than there is."""
        return self.promised > self.held + SLACK

    @property
    def is_longer(self) -> bool:
        """Whether there is more sound than the header promises."""
        return self.held > self.promised + SLACK


def sound_size(file: BinaryIO) -> SoundSize | None:
    """Find out how much sound a file promises and holds; None for other files, and where its header leaves it open."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(24)
    if len(head) < 24:
        return None
    if head[:4] in (b".snd", b"dns."):
        offset, size = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
        return None if size >= 0xFFFF0000 else _size(file, offset, size, length, 1)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _in_chunks(file, 12, length, ">4sI", b"SSND", 0, 2)
    if head[:4] == b"caff":
        return _in_chunks(file, 8, length, ">4sq", b"data", 0, 1)
    if head[:16] == _W64:
        return _in_chunks(file, 40, length, "<16sQ", b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 24, 8)
    return None


def _in_chunks(
    file: BinaryIO, position: int, length: int, form: str, wanted: bytes, counted: int, align: int
) -> SoundSize | None:
    """Walk chunks of a name and a size, which counts ``counted`` bytes of the chunk's own header, to the sound."""
    width = struct.calcsize(form)
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        header = file.read(width)
        if len(header) < width:
            return None
        name, size = struct.unpack(form, header)
        if name == wanted:
            return None if size < 0 else _size(file, position + width, size - counted, length, align)
        position += width + max(0, size - counted)
        position += -position % align
    return None


def _size(file: BinaryIO, offset: int, size: int, length: int, align: int) -> SoundSize:
    end = offset + size + -(offset + size) % align
    if end >= length:
        return SoundSize(size, length - offset)
    file.seek(end)
    follows = file.read(4)
    if (follows.isascii() and follows.decode("ascii").isprintable()) or is_blank(file, end, length):
        return SoundSize(size, size)
    return SoundSize(size, length - offset)
