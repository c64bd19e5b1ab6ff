"""What the system in an image is: whether a recorder can run on it, and which packages fit it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from deploy.flash.image.ext4 import Ext4
from deploy.flash.image.partitions import find_ext4
from deploy.flash.wheels import Board
from ecotf.errors import ConfigError

SETUP = "/var/lib/ecotf-setup"
_MACHINES = {0xB7: "aarch64", 0x3E: "x86_64", 0x28: "armv7l", 0x03: "i686"}  # as ELF numbers them
_LITE = "take the .img of Raspberry Pi OS Lite (64-bit)"


@dataclass(frozen=True)
class ImageSystem:
    """A system: its name, its board as the packages see it, and whether it can record from a microphone."""

    files: Ext4
    name: str
    board: Board
    has_arecord: bool


def read_system(image: Path) -> ImageSystem:
    """Read what an image has, and refuse one on which no recorder could run.

    Raises
    ------
    ConfigError
        What it lacks.
    """
    files, release = _system_partition(image)
    wrong = files.why_unclean()
    if wrong:
        raise ConfigError(f"{image}: its file system is damaged ({wrong}); take a fresh image")
    for path in ("/usr/lib/systemd/system", "/etc/systemd/system"):
        if not files.exists(path):
            raise ConfigError(f"{image}: no {path} in it, so it is not a system with systemd; {_LITE}")
    if files.exists(SETUP):
        raise ConfigError(f"{image}: is prepared already; begin with the image as it was downloaded")
    board = _read_board(files)
    try:
        board.check()
    except ConfigError as error:
        raise ConfigError(f"{image}: {error}") from None
    named = re.search(r'^PRETTY_NAME="?([^"\n]*)', release, re.MULTILINE)
    return ImageSystem(files, named[1] if named else "a system without a name", board, files.exists("/usr/bin/arecord"))


def _system_partition(image: Path) -> tuple[Ext4, str]:
    for partition in find_ext4(image):
        files = Ext4(image, partition)
        for path in ("/usr/lib/os-release", "/etc/os-release"):
            release = files.read(path)
            if release is not None:
                return files, release.decode(errors="replace")
    raise ConfigError(f"{image}: no system in its ext4 partition (no os-release); {_LITE}")


def _read_board(files: Ext4) -> Board:
    link = files.link("/usr/bin/python3") or ""
    version = re.fullmatch(r"(?:/usr/bin/)?python3\.(\d+)", link)
    if version is None:
        raise ConfigError(f"{files.image}: no python3 in it; {_LITE}")
    program = files.read(f"/usr/bin/python3.{version[1]}") or b""
    if program[:4] != b"\x7fELF" or len(program) < 20:
        raise ConfigError(f"{files.image}: its python3.{version[1]} is no program")
    number = struct.unpack_from("<H", program, 18)[0]
    packages = (files.read("/var/lib/dpkg/status") or b"").decode(errors="replace")
    libc = re.search(r"^Package: libc6\n(?:\S.*\n| .*\n)*?Version: (\d+)\.(\d+)", packages, re.MULTILINE)
    if libc is None:
        raise ConfigError(f"{files.image}: not Debian or Raspberry Pi OS (dpkg knows no libc6); {_LITE}")
    machine = _MACHINES.get(number, f"processor {number}")
    return Board(machine, (3, int(version[1])), (int(libc[1]), int(libc[2])))
