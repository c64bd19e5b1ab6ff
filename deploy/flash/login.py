"""Logging in to a recorder, and one clear line when it does not work."""

from __future__ import annotations

import logging
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from deploy.flash.connection import Connection
from deploy.flash.devices import Device
from deploy.flash.errors import DeviceError
from deploy.flash.host_keys import HostKeyPolicy, fingerprint, load_host_keys

# It reports to a logger what it also raises.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


@dataclass(frozen=True)
class Login:
    """Login settings for all recorders. Passwords are never printed, not even by ``repr``."""

    known_hosts: Path = field(default_factory=lambda: Path.home() / ".ssh" / "known_hosts")
    ssh_config: Path = field(default_factory=lambda: Path.home() / ".ssh" / "config")
    accept_new_host_key: bool = False
    identity: Path | None = None
    password: str | None = field(default=None, repr=False)
    sudo_password: str | None = field(default=None, repr=False)
    sudo: bool = True
    connect_s: float = 15.0


@contextmanager
def connect(device: Device, login: Login) -> Iterator[Connection]:
    """Log in to a recorder.

    Raises
    ------
    DeviceError
        It cannot be reached, is not the host it was, or lets us not in; in one line that says what to do.
    """
    client = paramiko.SSHClient()
    load_host_keys(client, login.known_hosts)
    client.set_missing_host_key_policy(HostKeyPolicy(login.known_hosts, login.accept_new_host_key))
    said = _ssh_config(device, login.ssh_config)
    host = said.get("hostname", device.host)
    port = int(said.get("port", 22))
    user = said.get("user")
    listed = [str(login.identity)] if login.identity else said.get("identityfile", [])
    identities = [file for file in listed if Path(file).is_file()]  # ssh ignores missing keys, too
    try:
        with _one_line(device, host, port, user, login):
            client.connect(
                host, port, user, login.password, key_filename=identities, timeout=login.connect_s,
                banner_timeout=login.connect_s, auth_timeout=2 * login.connect_s, channel_timeout=30.0,
                sock=way_through(said, host, port), look_for_keys=login.identity is None,
            )  # fmt: skip
            transport = client.get_transport()
            assert transport is not None
            transport.set_keepalive(10)
        yield Connection(device, client, login.sudo, login.sudo_password)
    finally:
        client.close()


@contextmanager
def _one_line(device: Device, host: str, port: int, user: str | None, login: Login) -> Iterator[None]:
    where = f"{host}:{port}"
    try:
        yield
    except paramiko.BadHostKeyException as error:
        name = host if port == 22 else f"[{host}]:{port}"
        raise DeviceError(
            f"THE HOST KEY CHANGED: {where} shows {fingerprint(error.key)}, and {login.known_hosts} has another. "
            f"If the recorder was set up anew: ssh-keygen -R '{name}'"
        ) from None
    except paramiko.PasswordRequiredException:
        raise DeviceError(f"{where}: the key is locked with a password; unlock it with ssh-add") from None
    except paramiko.AuthenticationException:
        way = "the password is wrong" if login.password else "copy your key there (ssh-copy-id), or add --ask-password"
        raise DeviceError(f"{where} does not let {user or 'you'} in; {way}") from None
    except socket.gaierror:
        raise DeviceError(f"{host}: no such host on this network") from None
    except TimeoutError:
        raise DeviceError(f"{where}: no answer within {login.connect_s:g} s; is it on, and on this network?") from None
    except paramiko.SSHException as error:
        if "No authentication methods" in str(error):
            raise DeviceError(f"{where}: there is no key to log in with; add --identity or --ask-password") from None
        raise DeviceError(f"{where}: no ssh there ({error})") from None
    except (OSError, EOFError) as error:
        reason = "it refuses the connection" if _is_refusal(error) else str(error) or "it hung up"
        raise DeviceError(f"{where}: {reason}; is it on, and does it allow ssh?") from None


def _is_refusal(error: BaseException) -> bool:
    errors = getattr(error, "errors", {})  # paramiko tries every address of a host, and collects
    return isinstance(error, ConnectionRefusedError) or any(_is_refusal(one) for one in errors.values())


def _ssh_config(device: Device, path: Path) -> dict[str, Any]:
    """Read ssh's settings for a recorder; the address as given comes first, because the first one counts."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    own = [f"Host {device.host}"]
    own += [f"User {device.user}"] if device.user else []
    own += [f"Port {device.port}"] if device.port else []
    try:
        return dict(paramiko.SSHConfig.from_text("\n".join([*own, "Host *", text])).lookup(device.host))
    except paramiko.SSHException as error:
        raise DeviceError(f"{path}: cannot be read ({error})") from None


def way_through(said: dict[str, Any], host: str, port: int) -> paramiko.ProxyCommand | None:
    """The way through another host, as ssh's settings have it."""
    jump, command = said.get("proxyjump", "none"), said.get("proxycommand", "none")
    if jump != "none":
        first, _, last = jump.rpartition(",")
        over = ["-J", first] if first else []
        destination = last if last.startswith("ssh://") else f"ssh://{last}"
        return paramiko.ProxyCommand(shlex.join(["ssh", *over, "-W", f"{host}:{port}", destination]))
    return paramiko.ProxyCommand(command) if command != "none" else None
