"""Metadata in WAV files: GUANO is read and written, WAMD and the comment of an AudioMoth are read.

GUANO 1.0: https://github.com/riggsd/guano-spec
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ecotf_recorder.audio.riff import Riff, read_riff, riff_chunks
from ecotf_recorder.times.beginning import read_comment

_BLANK = " \t\n\v\f\r\0"
_LARGEST = 1 << 20  # bytes; a larger chunk is a voice note or damage, not fields
_WAMD_SERIAL, _WAMD_TIME, _WAMD_EXPANSION = 0x02, 0x05, 0x0F


class Notes(NamedTuple):
    """Metadata that a recorder wrote into a file, by their place in it; fields have their GUANO names."""

    guano: dict[str, str]
    wamd: dict[str, str]
    comment: dict[str, str]

    @property
    def fields(self) -> dict[str, str]:
        """All fields as one: GUANO wins over WAMD, and WAMD over the comment of an AudioMoth."""
        return self.comment | self.wamd | self.guano

    @property
    def dated(self) -> list[tuple[str, dict[str, str]]]:
        """The sources in which a time may stand, the most trusted first."""
        return [("GUANO", self.guano), ("WAMD", self.wamd), ("AudioMoth comment", self.comment)]


def read_notes(path: Path, riff: Riff | None = None) -> Notes:
    """Read the metadata of a WAV file; ``riff`` is where its chunks are, if that is known already."""
    notes = Notes({}, {}, {})
    with open(path, "rb") as file:
        riff = riff or read_riff(file)
        for chunk in riff.chunks if riff is not None else ():
            if chunk.name in (b"guan", b"wamd", b"LIST") and 0 < (chunk.size or 0) <= _LARGEST:
                file.seek(chunk.offset)
                content = file.read(chunk.size)
                if chunk.name == b"guan":
                    notes.guano.update(_parse(content))
                elif chunk.name == b"wamd":
                    notes.wamd.update(_parse_wamd(content))
                else:
                    notes.comment.update(_parse_comment(content))
    return notes


def read_fields(path: Path) -> dict[str, str]:
    """Read the metadata of a WAV file under their GUANO names."""
    return read_notes(path).fields


def write_fields(path: Path, fields: Mapping[str, str]) -> None:
    """Put GUANO fields at the end of a finished WAV file, in the place of those that are there.

    Raises
    ------
    ValueError
        No WAV file, or one with something behind its GUANO chunk.
    """
    lines = {"GUANO|Version": "1.0", **fields}
    text = "\n".join(f"{key}: {str(value).replace(chr(10), chr(92) + 'n')}" for key, value in lines.items())
    content = text.encode("utf-8")
    content += b"\n" * (len(content) % 2)
    with open(path, "r+b") as file:
        found = list(riff_chunks(file))
        names = [chunk.name for chunk in found]
        if b"data" not in names or b"guan" in names[:-1]:
            raise ValueError(f"{path}: GUANO goes behind the sound of a WAV file; this has {names}")
        if names[-1] == b"guan":
            file.truncate(found[-1].offset - 8)
        length = file.seek(0, os.SEEK_END)
        file.write(b"\0" * (length % 2) + b"guan" + struct.pack("<I", len(content)) + content)
        length = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", length - 8))


def _parse(content: bytes) -> dict[str, str]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # early firmware wrote degree signs this way
    fields = {}
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon and key.strip(_BLANK):
            fields[key.strip(_BLANK)] = value.strip(_BLANK)
    return fields


def _parse_wamd(content: bytes) -> dict[str, str]:
    """Serial number, time and time expansion: fields of a 16-bit number, a 32-bit length and that many bytes."""
    fields, position = {}, 0
    while position + 6 <= len(content):
        number, length = struct.unpack_from("<HI", content, position)
        value = content[position + 6 : position + 6 + length]
        position += 6 + length
        if number in (_WAMD_SERIAL, _WAMD_TIME):
            fields["Serial" if number == _WAMD_SERIAL else "Timestamp"] = value.decode("utf-8", "replace").strip(_BLANK)
        elif number == _WAMD_EXPANSION and len(value) == 2:
            fields["TE"] = str(struct.unpack("<H", value)[0])
    return fields


def _parse_comment(content: bytes) -> dict[str, str]:
    """The ``ICMT`` text of a ``LIST`` ``INFO`` chunk, and the time of recording when an AudioMoth wrote it."""
    fields: dict[str, str] = {}
    position = 4
    while content[:4] == b"INFO" and position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        if name == b"ICMT":
            fields["Comment"] = content[position + 8 : position + 8 + size].decode("utf-8", "replace").strip(_BLANK)
        position += 8 + size + size % 2
    with suppress(ValueError):  # a date that cannot be is none
        if when := read_comment(fields.get("Comment", "")):
            fields["Timestamp"] = when.isoformat(timespec="seconds")
    return fields
