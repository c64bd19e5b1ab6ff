"""Is it the recorder it says it is? Host keys, as ``ssh`` keeps them in ``known_hosts``."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from pathlib import Path

import paramiko

from deploy.flash.errors import DeviceError

_writing = threading.Lock()


class HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """Refuses a host that ``known_hosts`` does not have, or writes it there when the user said so.

    A host whose key is another one than ``known_hosts`` says never comes here: that is always refused.
    """

    def __init__(self, known_hosts: Path, accept_new: bool) -> None:
        self.known_hosts = known_hosts
        self.accept_new = accept_new

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Accept ``key`` by writing it down, or raise :class:`DeviceError` with its fingerprint."""
        if not self.accept_new:
            raise DeviceError(
                f"unknown host; its {key.get_name()} key is {fingerprint(key)}. Compare it with what the recorder "
                "says itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then add --accept-new-host-key"
            )
        with _writing:
            self.known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.known_hosts.open("ab+") as known:
                before = b""
                if known.seek(0, os.SEEK_END):
                    known.seek(-1, os.SEEK_END)
                    before = b"" if known.read(1) == b"\n" else b"\n"  # else the last key and ours are both lost
                known.write(before + f"{hostname} {key.get_name()} {key.get_base64()}\n".encode())


def load_host_keys(client: paramiko.SSHClient, known_hosts: Path) -> None:
    """Read the hosts that the user and the machine know; a missing file knows none."""
    for path in (Path("/etc/ssh/ssh_known_hosts"), known_hosts):
        if path.is_file():
            try:
                client.load_system_host_keys(str(path))
            except (OSError, paramiko.SSHException, paramiko.hostkeys.InvalidHostKey) as error:
                raise DeviceError(f"{path}: cannot be read ({error})") from None


def fingerprint(key: paramiko.PKey) -> str:
    """As ``ssh`` and ``ssh-keygen -l`` print it."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
