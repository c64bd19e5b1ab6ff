"""Whose bundles are accepted: the public keys in ``/etc/ecotf/trusted``, and that a signature stays required."""

from __future__ import annotations

import base64
import hashlib

from ecotf_recorder.files import atomic_file
from ecotf_recorder.releases.bundle import ReleaseError
from ecotf_recorder.releases.settings import SETTINGS_FILE, ReleaseSettings
from ecotf_recorder.releases.signature import read_public_key


def require_signature(settings: ReleaseSettings) -> list[str]:
    """Write ``require_signature = true`` where a key is trusted, so that an emptied folder of keys opens nothing."""
    if settings.require_signature or not list_keys(settings):
        return []
    path = settings.root / SETTINGS_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.split("=")[0].strip() != "require_signature"]
    with atomic_file(path) as partial:
        partial.write_text("\n".join([*kept, "require_signature = true"]) + "\n", encoding="utf-8")
    return ["only signed bundles are accepted from now on"]


def list_keys(settings: ReleaseSettings) -> list[tuple[str, str]]:
    """Name and fingerprint of each trusted key, as ``ssh-keygen -l`` prints it."""
    found = []
    for path in sorted(settings.trusted.glob("*.pub")):
        try:
            key = read_public_key(path)
        except (OSError, ValueError):
            found.append((path.stem, "cannot be read"))
            continue
        blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + key
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        found.append((path.stem, f"SHA256:{digest}"))
    return found


def remove_key(settings: ReleaseSettings, name: str) -> None:
    """Trust a key no longer; the last one stays, because without any every bundle would be refused.

    Raises
    ------
    ReleaseError
        There is no such key, or no other one.
    """
    names = [known for known, _ in list_keys(settings)]
    if name not in names:
        raise ReleaseError(f"no trusted key {name!r}; there are: {', '.join(names) or 'none'}")
    if len(names) == 1:
        raise ReleaseError(f"{name} is the only trusted key; add another one first, with init --trust")
    (settings.trusted / f"{name}.pub").unlink()
