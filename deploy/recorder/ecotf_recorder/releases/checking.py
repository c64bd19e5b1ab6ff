"""Checks that a folder on the recorder has the right release, before any of it is used."""

from __future__ import annotations

import os
from pathlib import Path

from ecotf_recorder.releases.bundle import Bundle, ReleaseError, check_files, check_signature, read_bundle
from ecotf_recorder.releases.settings import ReleaseSettings


def check_release(settings: ReleaseSettings, folder: Path, release_id: str) -> Bundle:
    """Check names, sizes, checksums and, where there are trusted keys, the signature.

    Raises
    ------
    ReleaseError
        The folder is not there, or holds something else.
    """
    bundle = check_manifest(settings, folder, release_id)
    check_files(bundle, only_these=True)
    return bundle


def check_manifest(settings: ReleaseSettings, folder: Path, release_id: str) -> Bundle:
    """Check the manifest and, where there are trusted keys, its signature; no other file is looked at.

    Raises
    ------
    ReleaseError
        As :func:`check_release`.
    """
    if not folder.is_dir():
        raise ReleaseError(f"{release_id} is not on the recorder")
    _own(folder)
    bundle = read_bundle(folder)
    if bundle.id != release_id:
        raise ReleaseError(f"the bundle is {bundle.id}, not {release_id}; refused")
    check_signature(bundle, settings.trusted, settings.require_signature)
    return bundle


def _own(folder: Path) -> None:
    """Take an upload from the user who sent it, so that nobody changes it after the check."""
    if os.geteuid() != 0:
        return
    for path in [folder, *folder.iterdir()]:
        os.chown(path, 0, 0, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
