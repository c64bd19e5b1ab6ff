"""The partitions of a disk image: an MBR, a GPT, or one file system that fills the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ecotf.errors import ConfigError

_SECTOR = 512
_PROTECTIVE = 0xEE  # of an MBR before a GPT
_MOST_ENTRIES = 256
_EXT_MAGIC, _EXT_MAGIC_AT = b"\x53\xef", 1024 + 56


@dataclass(frozen=True)
class Partition:
    """A part of the file, in bytes; ``number`` is counted from 1, and 0 is the whole file."""

    number: int
    offset: int
    size: int


def find_ext4(image: Path) -> list[Partition]:
    """Find the partitions with a file system of Linux (ext2, ext3 or ext4).

    Raises
    ------
    ConfigError
        The file is no image of a disk, is cut off, or has no such partition.
    """
    size = image.stat().st_size
    with image.open("rb") as file:
        whole = Partition(0, 0, size)
        if _is_ext(file, whole):
            return [whole]
        partitions = _read_table(file)
        if partitions is None:
            raise ConfigError(f"{image}: not an image of a disk; take the .img of Raspberry Pi OS Lite (64-bit)")
        for one in partitions:
            if one.offset + one.size > size:
                raise ConfigError(
                    f"{image}: cut off; its partition {one.number} ends at byte {one.offset + one.size}, and the file "
                    f"at {size}; download it again"
                )
        found = [one for one in partitions if _is_ext(file, one)]
    if not found:
        raise ConfigError(f"{image}: no ext4 partition in it; take the .img of Raspberry Pi OS Lite (64-bit)")
    return found


def enlarge(image: Path, partition: Partition, added: int) -> Partition:
    """Let a partition be larger by ``added`` bytes (whole sectors), and the file with it, but not the file system.

    Raises
    ------
    ConfigError
        Another partition lies behind it, or the table is a GPT, whose second copy would have to move.
    """
    grown = Partition(partition.number, partition.offset, partition.size + added)
    with image.open("r+b") as file:
        others = [] if partition.number == 0 else _read_table(file) or []
        is_gpt = partition.number > 0 and _PROTECTIVE in _read(file, 0, _SECTOR)[450:510:16]
        if is_gpt or any(one.offset > partition.offset for one in others):
            why = "its partition table is a GPT" if is_gpt else "another partition lies behind it"
            raise ConfigError(
                f"{image}: {added / 1e6:.0f} MB are missing in its system partition, and it cannot be enlarged, for "
                f"{why}; take the .img of Raspberry Pi OS Lite (64-bit)"
            )
        file.truncate(max(image.stat().st_size, grown.offset + grown.size))
        if partition.number:
            file.seek(446 + 16 * (partition.number - 1) + 12)
            file.write(struct.pack("<I", grown.size // _SECTOR))
    return grown


def _read_table(file: BinaryIO) -> list[Partition] | None:
    first = _read(file, 0, _SECTOR)
    if first[510:] != b"\x55\xaa":
        return None
    entries = [first[446 + 16 * number :][:16] for number in range(4)]
    if any(entry[4] == _PROTECTIVE for entry in entries):
        return _read_gpt(file)
    found = []
    for number, entry in enumerate(entries, 1):
        begin, sectors = struct.unpack_from("<II", entry, 8)
        if entry[4] and begin and sectors:
            found.append(Partition(number, begin * _SECTOR, sectors * _SECTOR))
    return found or None


def _read_gpt(file: BinaryIO) -> list[Partition] | None:
    header = _read(file, _SECTOR, _SECTOR)
    if header[:8] != b"EFI PART":
        return None
    place, entries, width = struct.unpack_from("<QII", header, 72)
    if not 128 <= width <= 4096:
        return None
    found = []
    for number in range(1, min(entries, _MOST_ENTRIES) + 1):
        entry = _read(file, place * _SECTOR + (number - 1) * width, width)
        if len(entry) < width:
            break
        begin, last = struct.unpack_from("<QQ", entry, 32)
        if any(entry[:16]) and last >= begin:
            found.append(Partition(number, begin * _SECTOR, (last - begin + 1) * _SECTOR))
    return found


def _is_ext(file: BinaryIO, partition: Partition) -> bool:
    return _read(file, partition.offset + _EXT_MAGIC_AT, 2) == _EXT_MAGIC


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    try:
        file.seek(offset)
    except (OSError, OverflowError, ValueError):
        return b""
    return file.read(size)
