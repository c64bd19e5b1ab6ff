"""Room for an upload: an empty folder with a partial name, on a disk that has space for it."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from ecotf_recorder.files import free_bytes
from ecotf_recorder.releases.bundle import MANIFEST, SIGNATURE, ReleaseError
from ecotf_recorder.releases.settings import ReleaseSettings
from ecotf_recorder.releases.store import PART, ReleaseStore


def new_part(settings: ReleaseSettings, store: ReleaseStore, release_id: str, size: int) -> Path:
    """Make the folder that an upload of ``size`` bytes goes to; older releases make way for it where they must.

    It belongs to the user who called ``sudo``, so that the same user may write there through sftp.

    Raises
    ------
    ReleaseError
        The disk is too full.
    """
    store.discard_parts()
    needed = size + int(settings.reserve_mb * 1e6)
    if free_bytes(store.releases) < needed:
        store.prune(0)
    free = free_bytes(store.releases)
    if free < needed:
        raise ReleaseError(
            f"disk full: {free / 1e6:.1f} MB free in {store.releases}, and {size / 1e6:.1f} MB are to come beside the "
            f"{settings.reserve_mb:g} MB that stay free"
        )
    part = store.releases / f"{release_id}-{uuid.uuid4().hex[:8]}{PART}"
    part.mkdir(mode=0o755)
    caller = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() == 0 and caller[0] and caller[1]:
        os.chown(part, int(caller[0]), int(caller[1]))
    return part


def manifest_digest(folder: Path) -> str:
    """SHA-256 over a bundle's manifest and signature: equal for bundles that say the same and are signed alike."""
    digest = hashlib.sha256()
    for name in (MANIFEST, SIGNATURE):
        path = folder / name
        digest.update(path.read_bytes() if path.exists() else b"")
        digest.update(b"\n--\n")
    return digest.hexdigest()
