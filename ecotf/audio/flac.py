"""Compare what the header of a FLAC file promises with the last frame that it holds, without decoding any sound."""

from __future__ import annotations

import os
import re
from typing import BinaryIO, NamedTuple

_TAIL = 1 << 18  # bytes at the end of a file in which its last frame is looked for
_SOME_ZEROS = 64  # bytes; so many may belong to the last frame
_SIZES = {1: 192, **{code: 576 << (code - 2) for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}


class FlacLength(NamedTuple):
    """The samples per channel of a FLAC file.

    ``promised`` is what its header says, 0 where it leaves that open; ``held`` is where its last frame ends, None where
    no frame was found. ``start`` is where the file begins behind a tag, ``end`` where it ends before zeros (None where
    there are none), and ``first`` the 4 bits before the number.
    """

    promised: int
    held: int | None
    start: int
    end: int | None
    first: int

    def patch(self, frames: int) -> tuple[int, bytes]:
        """Return the bytes of its header for another length, and their position behind ``start``."""
        return 21, (self.first << 36 | frames).to_bytes(5, "big")


def read_flac(file: BinaryIO) -> FlacLength | None:
    """Read the length of a FLAC file twice: from its header, and from its last frame. None for other files."""
    length = file.seek(0, os.SEEK_END)
    start = _after_id3(file)
    file.seek(start)
    header = file.read(42)
    if len(header) < 42 or header[:4] != b"fLaC" or header[4] & 0x7F:
        return None
    number = int.from_bytes(header[21:26], "big")
    rate_and_kind = int.from_bytes(header[18:22], "big") >> 4  # 20 bits of rate, 3 of channels - 1, 5 of bits - 1
    end = _end_of_content(file, start + 42, length)
    first = max(start + 42, end - _TAIL)
    file.seek(first)
    held = _last_frame(file.read(end - first), header, rate_and_kind)
    return FlacLength(number & ((1 << 36) - 1), held, start, end if end < length else None, number >> 36)


def _end_of_content(file: BinaryIO, first: int, length: int) -> int:
    """Where the zeros behind the content of a file begin."""
    blank = bytes(1 << 20)
    while length > first:
        start = max(first, length - len(blank))
        file.seek(start)
        content = file.read(length - start)
        if content != blank[: len(content)]:
            return min(length, start + len(content.rstrip(b"\0")) + _SOME_ZEROS)
        length = start
    return length


def _after_id3(file: BinaryIO) -> int:
    file.seek(0)
    tag = file.read(10)
    if tag[:3] != b"ID3" or len(tag) < 10:
        return 0
    return 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])


def _last_frame(tail: bytes, header: bytes, rate_and_kind: int) -> int | None:
    """Where the last frame of ``tail`` ends, in samples; frames that contradict the header are chance."""
    least, most = int.from_bytes(header[8:10], "big"), int.from_bytes(header[10:12], "big")
    channels, bits = (rate_and_kind >> 5 & 7) + 1, (rate_and_kind & 31) + 1
    for match in reversed(list(re.finditer(rb"\xff[\xf8\xf9]", tail))):
        found = _frame(tail[match.start() : match.start() + 16], channels, bits)
        if found is not None and found[1] <= most:
            number, size = found
            return number + size if match[0][1] & 1 else number * least + size
    return None


def _frame(header: bytes, channels: int, bits: int) -> tuple[int, int] | None:
    """The number and the size of the frame that begins here, if one does."""
    header += bytes(16 - len(header))
    size_code, kind, bits_code = header[2] >> 4, header[3] >> 4, header[3] >> 1 & 7
    if kind > 10 or (kind + 1 if kind < 8 else 2) != channels or header[3] & 1:
        return None
    if bits_code and {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}.get(bits_code) != bits:
        return None
    ones = 8 - (~header[4] & 0xFF).bit_length()  # as in UTF-8, the first byte says how many follow
    if ones == 1 or ones > 7:
        return None
    more = max(0, ones - 1)
    number = header[4] & (0x7F >> ones)
    for byte in header[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    end = 5 + more
    size = _SIZES.get(size_code)
    if size_code in (6, 7):
        size = int.from_bytes(header[end : end + size_code - 5], "big") + 1
        end += size_code - 5
    end += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if size is None or header[2] & 15 == 15 or end >= len(header) or _crc8(header[:end]) != header[end]:
        return None
    return number, size


def _crc8(content: bytes) -> int:
    check = 0
    for byte in content:
        check ^= byte
        for _ in range(8):
            check = (check << 1 ^ 0x07 if check & 0x80 else check << 1) & 0xFF
    return check
