"""A model that comes as the difference to one that is on the recorder: read, checked, and put together.

A delta is a gzip file: a line of JSON that names the release it is made from, then instructions of 16 bytes, two
numbers each. The first is a place in the old model and the second how many bytes to copy from there; or the first is
``LITERAL``, and that many bytes follow. Nothing in it is believed: it can read one file and write one, whose size and
SHA-256 are in the bundle's manifest.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

from ecotf_recorder.files import free_bytes
from ecotf_recorder.releases.bundle import MODEL, Bundle, ReleaseError, check_regular, is_release_id, read_bundle
from ecotf_recorder.releases.settings import ReleaseSettings
from ecotf_recorder.releases.store import ReleaseStore

VERSION = 1  # what prepare and status say, so that no other kind is sent
DELTA = f"{MODEL}.delta"
INSTRUCTION = struct.Struct("<QQ")
LITERAL = (1 << 64) - 1
MOST_INSTRUCTIONS = 1 << 18
_HEADER_BYTES = 1000
_PIECE = 1 << 18


def closest_release(store: ReleaseStore, name: str) -> str | None:
    """Choose the release that a bundle called ``name`` is most like: of its name, else the current one."""
    current, previous = store.pointed("current"), store.pointed("previous")
    found = [release_id for release_id in store.ids() if (store.folder(release_id) / MODEL).is_file()]
    ranks = {
        release_id: (_name(store, release_id) == name, release_id == current, release_id == previous)
        for release_id in found
    }
    return max(found, key=ranks.__getitem__, default=None)  # of equals the newest, which stands first


def assemble(settings: ReleaseSettings, store: ReleaseStore, bundle: Bundle) -> None:
    """Put the model of an upload together from its delta, which is then removed.

    Parameters
    ----------
    bundle
        The upload: its manifest is there, and checked, and its model is not there yet.

    Raises
    ------
    ReleaseError
        The delta is damaged, asks for what it may not have, or does not give the model of the manifest; or there is
        no room for it.
    """
    model = next(file for file in bundle.files if file.name == MODEL)
    source, target = bundle.folder / DELTA, bundle.folder / MODEL
    if free_bytes(bundle.folder) < model.size + int(settings.reserve_mb * 1e6):
        raise ReleaseError(f"disk full: no room for the {model.size / 1e6:.1f} MB that the delta gives")
    check_regular(source)
    digest, left = hashlib.sha256(), model.size
    try:
        with gzip.open(source, "rb") as delta, _base(store, delta) as base, target.open("xb") as written:
            for piece in _pieces(delta, base):
                left -= len(piece)
                if left < 0:
                    raise ReleaseError(f"{DELTA}: gives more than the {model.size} bytes of the model; refused")
                digest.update(piece)
                written.write(piece)
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error):
        raise ReleaseError(f"{DELTA}: damaged or cut off; refused") from None
    if left or digest.hexdigest() != model.sha256:
        raise ReleaseError(f"{DELTA}: what it gives is not the model of the bundle; refused")
    source.unlink()


def _base(store: ReleaseStore, delta: gzip.GzipFile) -> IO[bytes]:
    """Open the model that the delta is made from: one of a release, whatever the delta says."""
    try:
        said = json.loads(delta.readline(_HEADER_BYTES))
        format_, release_id = said["format"], said["base"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ReleaseError(f"{DELTA}: damaged or cut off; refused") from None
    if format_ != VERSION or not isinstance(release_id, str) or not is_release_id(release_id):
        raise ReleaseError(f"{DELTA}: of a kind that this recorder does not know; refused")
    path = store.folder(release_id) / MODEL
    if not path.is_file():
        raise ReleaseError(f"{release_id}, from which the delta is made, is not on the recorder")
    return path.open("rb")


def _pieces(delta: gzip.GzipFile, base: IO[bytes]) -> Iterator[bytes]:
    """Yield the new file in pieces, so that no instruction takes more memory than another."""
    size = os.fstat(base.fileno()).st_size
    for number in range(MOST_INSTRUCTIONS + 1):
        instruction = delta.read(INSTRUCTION.size)
        if not instruction:
            return
        place, length = INSTRUCTION.unpack(instruction)
        if number == MOST_INSTRUCTIONS or not length or (place != LITERAL and place + length > size):
            raise ReleaseError(f"{DELTA}: instruction {number + 1} cannot be followed; refused")
        source: Any = delta if place == LITERAL else base
        if place != LITERAL:
            base.seek(place)
        while length:
            piece = source.read(min(length, _PIECE))
            if not piece:
                raise EOFError
            length -= len(piece)
            yield piece


def _name(store: ReleaseStore, release_id: str) -> str | None:
    try:
        return read_bundle(store.folder(release_id)).name
    except ReleaseError:
        return None
