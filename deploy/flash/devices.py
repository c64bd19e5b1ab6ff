"""List of recorders: one from the command line, or many from a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from ecotf.errors import ConfigError

_ADDRESS = re.compile(
    r"(?:(?P<user>[A-Za-z0-9._-]+)@)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%a-z]+\])(?::(?P<port>\d+))?"
)


@dataclass(frozen=True)
class Device:
    """One recorder; ``user`` and ``port`` are None where ssh's own settings or defaults decide."""

    name: str
    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        return self.name


def parse_device(address: str, name: str | None = None) -> Device:
    """Read ``[user@]host[:port]``.

    Raises
    ------
    ConfigError
        It is something else.
    """
    found = _ADDRESS.fullmatch(address.strip())
    if not found or found["host"].startswith("-"):
        raise ConfigError(f"device {address!r}: allowed are host, user@host and user@host:port")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        raise ConfigError(f"device {address!r}: a port is from 1 to 65535")
    return Device(name or address.strip(), found["host"].strip("[]"), found["user"], port)


def read_devices(path: Path) -> list[Device]:
    """Read a list of recorders.

    Parameters
    ----------
    path
        Text with an address a line (``#`` begins a remark), or YAML (``.yaml``, ``.yml``) with ``name: address`` lines
        or a list of addresses.

    Raises
    ------
    ConfigError
        The file is not there, is empty, or has a line that is no address or a recorder twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    if path.suffix in (".yaml", ".yml"):
        devices = _from_yaml(path, text)
    else:
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
        devices = [_parse(path, line) for line in lines if line]
    if not devices:
        raise ConfigError(f"{path}: no device in it")
    seen: dict[tuple[str, int | None], str] = {}
    for device in devices:
        place = (device.host.lower(), device.port)
        if place in seen:
            raise ConfigError(f"{path}: {device.host} is there twice ({seen[place]} and {device.name})")
        seen[place] = device.name
    return devices


def _from_yaml(path: Path, text: str) -> list[Device]:
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    if isinstance(said, dict) and all(isinstance(address, str) for address in said.values()):
        return [_parse(path, address, str(name)) for name, address in said.items()]
    if isinstance(said, list) and all(isinstance(address, str) for address in said):
        return [_parse(path, address) for address in said]
    raise ConfigError(f"{path}: allowed are lines 'name: user@host' or a list of addresses")


def _parse(path: Path, address: str, name: str | None = None) -> Device:
    try:
        return parse_device(address, name)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
