"""Room for an upload: an empty folder with a partial name, on a disk that has space for it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ecotf_recorder.files import free_bytes
from ecotf_recorder.releases.bundle import (
    MANIFEST,
    MANIFEST_BYTES,
    MOST_BYTES,
    SIGNATURE,
    SIGNATURE_BYTES,
    ReleaseError,
    read_regular,
)
from ecotf_recorder.releases.settings import ReleaseSettings
from ecotf_recorder.releases.store import PART, ReleaseStore


def new_part(
    settings: ReleaseSettings, store: ReleaseStore, release_id: str, size: int, is_proved: bool = False
) -> Path:
    """Make the folder that an upload of ``size`` bytes goes to.

    Older releases make way only for a bundle that is there, whole and signed as it should be (``is_proved``); a size
    that somebody states removes nothing.

    It belongs to the user who called ``sudo``, so that the same user may write there through sftp.

    Raises
    ------
    ReleaseError
        The disk is too full.
    """
    if not 0 < size <= MOST_BYTES:
        raise ReleaseError(f"{size} bytes are to come; a bundle has at most {MOST_BYTES}")
    store.discard_parts()
    needed = size + int(settings.reserve_mb * 1e6)
    if is_proved and free_bytes(store.releases) < needed:
        store.prune(0)
    free = free_bytes(store.releases)
    if free < needed:
        raise ReleaseError(
            f"disk full: {free / 1e6:.1f} MB free in {store.releases}, and {size / 1e6:.1f} MB are to come beside the "
            f"{settings.reserve_mb:g} MB that stay free; flash_device.py list --remove-old makes room"
        )
    part = store.releases / f"{release_id}-{os.urandom(4).hex()}{PART}"
    part.mkdir(mode=0o755)
    caller = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() == 0 and caller[0] and caller[1]:
        os.chown(part, int(caller[0]), int(caller[1]))
    return part


def manifest_digest(folder: Path) -> str:
    """SHA-256 over a bundle's manifest and signature: equal for bundles that say the same and are signed alike."""
    digest = hashlib.sha256()
    for name, limit in ((MANIFEST, MANIFEST_BYTES), (SIGNATURE, SIGNATURE_BYTES)):
        path = folder / name
        digest.update(read_regular(path, limit) if os.path.lexists(path) else b"")
        digest.update(b"\n--\n")
    return digest.hexdigest()
