"""The chunks of a WAV file (RIFF, RF64 or BW64), found without reading any sound."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_UNKNOWN_SIZE = 0xFFFFFFFF


class Chunk(NamedTuple):
    """One chunk: ``size`` is what its header promises, None where it was left open, ``available`` what is there."""

    name: bytes
    offset: int
    size: int | None
    available: int


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Walk the chunks; a file that is no WAV has none."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(12)
    if start[:4] not in (b"RIFF", b"RF64", b"BW64") or start[8:] != b"WAVE":
        return
    position, size_of_data = 12, None
    while position + 8 <= length:
        file.seek(position)
        name, size = struct.unpack("<4sI", file.read(8))
        offset = position + 8
        if name == b"ds64" and length >= offset + 16:
            size_of_data = struct.unpack("<8xQ", file.read(16))[0]  # RF64: the real size, over 4 GiB
        promised = (size_of_data if name == b"data" else None) if size == _UNKNOWN_SIZE else size
        yield Chunk(name, offset, promised, length - offset)
        if promised is None:
            return
        position = offset + promised + promised % 2
