"""The model file: a flatbuffer that every TFLite runtime loads, and behind it a zip that says what it is."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecotf.errors import ConfigError
from ecotf.plain import plain

MODEL_JSON = "model.json"
_EPOCH = (2020, 1, 1, 0, 0, 0)  # the same content gives the same bytes, whenever it was written
_ALIGN = 16
# A description of a few hundred kB may be unpacked, a few bytes that stand for gigabytes may not.
_MOST_BYTES, _MOST_MEMBERS = 64 << 20, 100


def json_text(value: Any) -> str:
    """JSON for people to read."""
    return json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def with_members(flatbuffer: bytes, members: Mapping[str, bytes | str]) -> bytes:
    """Return the bytes of a model file with these zip members."""
    stream = io.BytesIO(flatbuffer + b"\0" * (-len(flatbuffer) % _ALIGN))
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            # What is packed already stays as it is, so that the parts of it that do not change can be found again.
            way = zipfile.ZIP_STORED if name.endswith(".npz") else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, way)
    return stream.getvalue()


@dataclass(frozen=True)
class ModelFile:
    """A model file that was read.

    Attributes
    ----------
    flatbuffer
        Everything before the zip.
    values
        ``model.json``; empty where the file has none.
    """

    path: Path
    flatbuffer: bytes
    values: dict[str, Any]
    members: dict[str, bytes]


def read_model_file(path: str | Path) -> ModelFile:
    """Read a model file, or any .tflite, whole.

    Raises
    ------
    ConfigError
        It cannot be read, or its zip is damaged or states sizes that no description has.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return ModelFile(path, content, {}, {})
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            stated = sum(info.file_size for info in archive.infolist())
            if stated > _MOST_BYTES or len(archive.infolist()) > _MOST_MEMBERS:
                raise ConfigError(
                    f"{path}: its description would be {stated:,} bytes in {len(archive.infolist())} files; allowed: "
                    f"{_MOST_BYTES:,} bytes in {_MOST_MEMBERS} files. It is none of ecotf's, and nothing was unpacked"
                )
            members = {info.filename: _unpacked(archive, info) for info in archive.infolist()}
            start = min((info.header_offset for info in archive.infolist()), default=len(content))
        values = json.loads(members[MODEL_JSON]) if MODEL_JSON in members else {}
        if not isinstance(values, dict):
            raise ValueError(f"{MODEL_JSON} is no mapping")
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ConfigError(f"{path}: its description is damaged ({error}); copy it again") from None
    return ModelFile(path, content[:start], values, members)


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member, of at most the size that it states; that may be a lie, and a few bytes can stand for gigabytes."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is packed in a way that ecotf never uses")
    with archive.open(info) as opened:
        return opened.read(info.file_size)
