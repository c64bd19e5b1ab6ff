"""Bundles on the workstation: checked before anything is sent, and signed."""

from __future__ import annotations

import base64
import getpass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key
from ecotf_recorder.releases.bundle import MANIFEST, SIGNATURE, Bundle, ReleaseError, check_files, read_bundle
from ecotf_recorder.releases.signature import verify

from ecotf.errors import ConfigError, DataError
from ecotf.files import atomic_file


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every file of it.

    Raises
    ------
    ConfigError
        There is no such folder.
    DataError
        It is no bundle, or one that was changed after it was made.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; a bundle is what ecotf export writes")
    try:
        bundle = read_bundle(folder)
        check_files(bundle)
    except ReleaseError as error:
        raise DataError(f"{folder}: {_without(str(error), folder)}") from None
    return bundle


def sign_bundle(bundle: Bundle, key_file: Path) -> Path:
    """Write ``bundle.json.sig``, an ed25519 signature of ``bundle.json``.

    Parameters
    ----------
    key_file
        OpenSSH's private key, as ``ssh-keygen -t ed25519`` makes it. A password is asked for when it has one.

    Raises
    ------
    ConfigError
        It is no such key.
    """
    key = _read_private_key(key_file)
    signature = key.sign(bundle.content)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    if not verify(public, bundle.content, signature):
        raise DataError(f"{bundle.folder}: the signature does not verify; the recorder would refuse it")
    path = bundle.folder / SIGNATURE
    with atomic_file(path) as partial:
        partial.write_bytes(base64.b64encode(signature) + b"\n")
    return path


def _read_private_key(path: Path) -> Ed25519PrivateKey:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    password: bytes | None = None
    for _ in range(2):
        try:
            key = load_ssh_private_key(content, password)
        except TypeError:  # it is locked, and no password was given
            password = getpass.getpass(f"password of {path}: ").encode()
            continue
        except ValueError as error:
            wrong = "the password is wrong" if password else f"no OpenSSH private key ({error})"
            raise ConfigError(f"{path}: {wrong}; ssh-keygen -t ed25519 -f FILE makes one") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path}: not an ed25519 key; ssh-keygen -t ed25519 -f FILE makes one")
        return key
    raise ConfigError(f"{path}: cannot be unlocked")


def _without(text: str, folder: Path) -> str:
    return text.removeprefix(f"{folder / MANIFEST}: ")
