"""Metadata in WAV files: GUANO is read and written, the comment of an AudioMoth is read.

GUANO 1.0: https://github.com/riggsd/guano-spec
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ecotf_recorder.audio.riff import chunks

_BLANK = " \t\n\v\f\r\0"
_LARGEST = 1 << 20  # bytes; a larger chunk is a voice note or damage, not fields
_AUDIOMOTH = re.compile(
    r"Recorded at (?P<time>\d\d:\d\d:\d\d)(\.\d+)? (?P<date>\d\d/\d\d/\d{4}) "
    r"\(UTC(?P<sign>[+-])?(?P<hours>\d+)?(:(?P<minutes>\d\d))?\)"
)


def read_fields(path: Path) -> dict[str, str]:
    """The GUANO fields of a WAV file, and of an AudioMoth's comment the ``Timestamp``; GUANO wins."""
    guano: dict[str, str] = {}
    comment: dict[str, str] = {}
    with open(path, "rb") as file:
        for chunk in chunks(file):
            if chunk.name in (b"guan", b"LIST") and 0 < (chunk.size or 0) <= _LARGEST:
                file.seek(chunk.offset)
                content = file.read(chunk.size)
                if chunk.name == b"guan":
                    guano |= _parse(content)
                elif found := _AUDIOMOTH.search(content.decode("utf-8", "replace")):
                    with suppress(ValueError):  # a date that cannot be is none
                        offset = f"{found['sign'] or '+'}{int(found['hours'] or 0):02d}:{found['minutes'] or '00'}"
                        when = datetime.strptime(f"{found['date']} {found['time']} {offset}", "%d/%m/%Y %H:%M:%S %z")
                        comment["Timestamp"] = when.isoformat()
    return comment | guano


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
        found = list(chunks(file))
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
