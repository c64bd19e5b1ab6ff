"""Read the metadata in recorders' WAV files: GUANO, Wildlife Acoustics WAMD, and the comment of an AudioMoth.

Only chunk headers and the metadata chunks themselves are read, never the sound. Every field is given under its GUANO
name (``Timestamp``, ``TE``, ``Loc Position``, ...), whichever chunk it came from; where a file carries several, GUANO
wins over WAMD and WAMD over the comment, because software that edits a recording rewrites its GUANO fields.

References
----------
GUANO 1.0: https://github.com/riggsd/guano-spec. WAMD has no public specification; the field numbers are those of the
GUANO reference implementation (https://github.com/riggsd/guano-py, ``wamd2guano``).
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ecotf.audio.beginning import read_comment
from ecotf.audio.riff import Riff, read_riff, riff_chunks

_BLANK = " \t\n\v\f\r\0"
_LARGEST_METADATA = 1 << 20  # bytes; a larger one is a voice note or damage, not fields

_WAMD_FIELDS = {
    0x01: "Model",
    0x02: "Serial",
    0x03: "Firmware Version",
    0x05: "Timestamp",
    0x06: "Loc Position",
    0x0A: "Note",
    0x0B: "Species Auto ID",
    0x0C: "Species Manual ID",
    0x0F: "TE",
}


class Notes(NamedTuple):
    """The metadata of a file, one field for each place it can be stored; names follow GUANO."""

    guano: dict[str, str]
    wamd: dict[str, str]
    comment: dict[str, str]

    @property
    def fields(self) -> dict[str, str]:
        """All fields as one: GUANO wins over WAMD, and WAMD over the comment of an AudioMoth."""
        fields = self.comment | self.wamd | self.guano
        if "TE" in self.guano and "TE" in self.wamd and self.guano["TE"] != self.wamd["TE"]:
            fields["WA|TE"] = self.wamd["TE"]
        return fields

    @property
    def dated(self) -> list[tuple[str, dict[str, str]]]:
        """The sources in which a time may stand, the most trusted first."""
        return [("GUANO", self.guano), ("WAMD", self.wamd), ("AudioMoth comment", self.comment)]


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the metadata of a recording.

    Parameters
    ----------
    path
        A sound file; one that is not WAV gives an empty dictionary.

    Returns
    -------
    dict
        GUANO field names to values, as written. ``Comment`` is the free text of an AudioMoth and others. ``WA|TE`` is
        there only when WAMD states another time expansion than GUANO does.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    return read_notes(path).fields


def read_notes(path: str | Path, riff: Riff | None = None) -> Notes:
    """Read the metadata of a recording as :func:`read_metadata` does, apart by where they stand.

    Parameters
    ----------
    riff
        Where its chunks are, if that is known already.

    Raises
    ------
    OSError
        It cannot be read. A pipe or a device is not opened: that could wait for ever.
    """
    notes = Notes({}, {}, {})
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "is not an ordinary file", str(path))
    with open(path, "rb") as file:
        riff = riff or read_riff(file)
        for chunk in riff.chunks if riff is not None else ():
            if chunk.name not in (b"guan", b"wamd", b"LIST") or not 0 < (chunk.size or 0) <= _LARGEST_METADATA:
                continue
            file.seek(chunk.offset)
            content = file.read(chunk.size)
            if chunk.name == b"guan":
                notes.guano.update(parse_guano(content))
            elif chunk.name == b"wamd":
                notes.wamd.update(parse_wamd(content))
            else:
                notes.comment.update(_parse_comment(content))
    return notes


def parse_guano(content: bytes) -> dict[str, str]:
    """Parse the text of a ``guan`` chunk; lines that are not ``key: value`` are passed over."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # early firmware wrote degree signs this way
    fields = {}
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon and key.strip(_BLANK):
            fields[key.strip(_BLANK)] = value.strip(_BLANK)
    if "Note" in fields:
        fields["Note"] = fields["Note"].replace("\\n", "\n")
    return fields


def parse_wamd(content: bytes) -> dict[str, str]:
    """Parse a ``wamd`` chunk: fields of a 16-bit number, a 32-bit length and that many bytes, little-endian."""
    fields = {"Make": "Wildlife Acoustics"}
    position = 0
    while position + 6 <= len(content):
        number, length = struct.unpack_from("<HI", content, position)
        value = content[position + 6 : position + 6 + length]
        position += 6 + length
        name = _WAMD_FIELDS.get(number)
        if name == "TE" and len(value) == 2:
            fields[name] = str(struct.unpack("<H", value)[0])
        elif name == "Loc Position":
            fields |= _wamd_position(value.decode("latin-1"))
        elif name is not None and name != "TE":
            fields[name] = value.decode("utf-8", errors="replace").strip(_BLANK)
    return fields


def _wamd_position(text: str) -> dict[str, str]:
    """``WGS84,50.67,N,4.61,E,120`` or ``WGS84,50.67,4.61`` as GUANO's ``latitude longitude``."""
    parts = [part.strip() for part in text.strip(_BLANK).split(",")[1:]]
    try:
        if len(parts) >= 4 and parts[1] in ("N", "S") and parts[3] in ("E", "W"):
            latitude = float(parts[0]) * (-1 if parts[1] == "S" else 1)
            longitude = float(parts[2]) * (-1 if parts[3] == "W" else 1)
        else:
            latitude, longitude = float(parts[0]), float(parts[1])
    except (ValueError, IndexError):
        return {}
    return {"Loc Position": f"{latitude} {longitude}"}


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


def write_guano(path: str | Path, fields: Mapping[str, str]) -> None:
    """Append a GUANO chunk to a WAV file that has none.

    Parameters
    ----------
    path
        A finished WAV file under 4 GiB.
    fields
        GUANO field names to values; ``GUANO|Version`` is put first by itself.
    """
    lines = {"GUANO|Version": "1.0", **fields}
    text = "\n".join(f"{key}: {str(value).replace(chr(10), chr(92) + 'n')}" for key, value in lines.items())
    content = text.encode("utf-8")
    content += b"\n" * (len(content) % 2)
    with open(path, "r+b") as file:
        names = [chunk.name for chunk in riff_chunks(file)]
        if b"data" not in names or b"guan" in names:
            raise ValueError(f"{path}: a GUANO chunk is only added to a WAV file without one; this has {names}")
        length = file.seek(0, os.SEEK_END)
        file.write(b"\0" * (length % 2) + b"guan" + struct.pack("<I", len(content)) + content)
        length = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", length - 8))
