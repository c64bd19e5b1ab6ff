"""A bundle, the folder that is flashed, and what must hold before anything in it is believed.

The workstation and the recorder both read bundles with this module, so that neither accepts what the other refuses.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecotf_recorder.errors import RecorderError
from ecotf_recorder.releases.signature import read_public_key, verify

FORMAT = 1
MANIFEST = "bundle.json"
SIGNATURE = "bundle.json.sig"
MODEL = "model.tflite"

_ID = re.compile(r"[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A plain name: no slash, no leading dot, nothing a file system or a shell reads otherwise.
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MANIFEST_BYTES, SIGNATURE_BYTES = 1 << 20, 1024
MOST_BYTES = 1 << 30  # of a bundle; the memory of the largest board would not hold such a model
_MOST_FILES = 100


class ReleaseError(RecorderError):
    """A bundle or a release that cannot be used; one sentence saying which and why."""


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle as its manifest states it; ``size`` in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """Content of ``bundle.json``. ``content`` has the bytes of the file; the signature is for these bytes.

    ``machines`` and ``memory_mb`` say which boards it fits; empty and 0 where an older export does not say.
    """

    folder: Path
    id: str
    name: str
    created: str
    files: tuple[BundleFile, ...]
    content: bytes
    machines: tuple[str, ...] = ()
    memory_mb: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files) + len(self.content)

    @property
    def names(self) -> list[str]:
        """Every file that belongs to the bundle, the manifest last, so that a copy with a manifest is a whole one."""
        signature = [SIGNATURE] if os.path.lexists(self.folder / SIGNATURE) else []
        return [*(file.name for file in self.files), *signature, MANIFEST]


def is_release_id(text: str) -> bool:
    """Check that ``text`` has the form of a release's id: twelve lower-case hexadecimal digits."""
    return _ID.fullmatch(text) is not None


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's manifest; its files are not looked at yet.

    Raises
    ------
    ReleaseError
        There is no manifest, or it says something that cannot be.
    """
    path = folder / MANIFEST
    try:
        content = read_regular(path, MANIFEST_BYTES)
        said = json.loads(content)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise ReleaseError(f"{path}: not JSON; the bundle was cut off or is none") from None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        found = said.get("format") if isinstance(said, dict) else None
        raise ReleaseError(f"{path}: format {found!r}; this version reads format {FORMAT}")
    files = tuple(_file(path, name, entry) for name, entry in _mapping(path, said.get("files")).items())
    by_name = {file.name: file for file in files}
    if len(files) > _MOST_FILES or sum(file.size for file in files) > MOST_BYTES:
        raise ReleaseError(f"{path}: more than {_MOST_FILES} files or {MOST_BYTES >> 20} MB; refused")
    if MODEL not in by_name:
        raise ReleaseError(f"{path}: no {MODEL} among its files")
    release_id = said.get("id")
    if not isinstance(release_id, str) or release_id != by_name[MODEL].sha256[:12]:
        raise ReleaseError(f"{path}: id {release_id!r} is not the beginning of the checksum of {MODEL}")
    name, created, fits = str(said.get("name", "")), str(said.get("created", "")), _fits(path, said.get("fits", {}))
    return Bundle(folder, release_id, name, created, files, content, *fits)


def check_files(bundle: Bundle, only_these: bool = False) -> None:
    """Compare every file with its size and SHA-256 in the manifest.

    Parameters
    ----------
    only_these
        Also refuse files that the manifest does not name.

    Raises
    ------
    ReleaseError
        The first file that is missing, is no plain file, or differs.
    """
    for file in bundle.files:
        path = bundle.folder / file.name
        check_regular(path)
        size = path.lstat().st_size
        if size != file.size:
            raise ReleaseError(f"{file.name}: {size} bytes instead of {file.size}; refused")
        if sha256_of(path) != file.sha256:
            raise ReleaseError(f"{file.name}: its checksum is not the one in {MANIFEST}; refused")
    if only_these:
        strangers = sorted({path.name for path in bundle.folder.iterdir()} - set(bundle.names))
        if strangers:
            raise ReleaseError(f"{strangers[0]}: not named in {MANIFEST}; refused")


def check_signature(bundle: Bundle, trusted: Path, required: bool = False) -> str | None:
    """Check the bundle's signature against the keys of a folder.

    Parameters
    ----------
    trusted
        Folder with ``*.pub`` files. Without any, every bundle passes unless a signature is required.
    required
        Refuse every bundle when there is no key, as when the folder was lost or emptied.

    Returns
    -------
    str or None
        The name of the key that signed, or None when no key is asked for.

    Raises
    ------
    ReleaseError
        There are keys, and the bundle is not signed or by none of them; or a key file cannot be read.
    """
    keys = sorted(trusted.glob("*.pub")) if trusted.is_dir() else []
    if not keys and required:
        raise ReleaseError(f"only signed bundles are accepted, and {trusted} has no key; add one with init --trust")
    if not keys:
        return None
    path = bundle.folder / SIGNATURE
    if not os.path.lexists(path):
        raise ReleaseError(f"{bundle.id}: not signed, and only signed bundles are accepted (keys in {trusted})")
    try:
        signature = base64.b64decode(read_regular(path, SIGNATURE_BYTES).strip(), validate=True)
    except binascii.Error:
        raise ReleaseError(f"{SIGNATURE}: not a signature; refused") from None
    for key in keys:
        try:
            public = read_public_key(key)
        except (OSError, ValueError) as error:
            raise ReleaseError(str(error)) from None
        if verify(public, bundle.content, signature):
            return key.stem
    raise ReleaseError(f"{bundle.id}: signed by none of the trusted keys in {trusted}; refused")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while piece := opened.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _file(path: Path, name: str, entry: object) -> BundleFile:
    if not _FILE_NAME.fullmatch(name) or name in (MANIFEST, SIGNATURE) or name.endswith(".part"):
        raise ReleaseError(f"{path}: {name!r} is no plain file name; refused")
    said = _mapping(path, entry)
    sha256, size = said.get("sha256"), said.get("bytes")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ReleaseError(f"{path}: the sha256 of {name} is not 64 hexadecimal digits")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ReleaseError(f"{path}: the bytes of {name} are not a number")
    return BundleFile(name, sha256, size)


def _fits(path: Path, value: object) -> tuple[tuple[str, ...], float]:
    """Read the machines and the memory of the boards that a bundle fits."""
    said: dict[str, Any] = value if isinstance(value, dict) else {"machines": None}
    machines, memory = said.get("machines", []), said.get("memory_mb", 0)
    good = isinstance(machines, list) and all(isinstance(one, str) and _FILE_NAME.fullmatch(one) for one in machines)
    if (
        machines is None
        or not good
        or isinstance(memory, bool)
        or not isinstance(memory, (int, float))
        or not 0 <= memory < 1e6
    ):
        raise ReleaseError(f"{path}: fits is not {{machines: [names], memory_mb: number}}")
    return tuple(machines), float(memory)


def _mapping(path: Path, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ReleaseError(f"{path}: its files are not listed as name: {{sha256, bytes}}")
    return value


def check_regular(path: Path) -> None:
    """Refuse what is missing, a link, a folder, or anything else than a plain file."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        raise ReleaseError(f"{path.name}: missing in {path.parent}") from None
    if not stat.S_ISREG(mode):
        raise ReleaseError(f"{path.name}: a link or a folder where a file should be; refused")


def read_regular(path: Path, limit: int) -> bytes:
    """Read a plain file of at most ``limit`` bytes; a link is not followed and a pipe not waited for."""
    check_regular(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
        content = opened.read(limit + 1)
    if len(content) > limit:
        raise ReleaseError(f"{path.name}: larger than {limit} bytes; refused")
    return content
