"""Images of memory cards with a system of a few files, made without a card: partition table and ext4."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SECTOR = 512
BOOT, ROOT = 64, 2048  # where the partitions begin, in sectors
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
DPKG = "Package: adduser\nVersion: 3.1\n\nPackage: libc6\nStatus: installed\nArchitecture: arm64\nVersion: {glibc}\n\n"


def need_e2fsprogs() -> None:
    missing = [
        name for name in ("debugfs", "e2fsck", "mkfs.ext4", "resize2fs") if shutil.which(name, path=_PATH) is None
    ]
    if missing:
        pytest.skip(f"{missing[0]} is not here (package e2fsprogs)")


def run(*words: object, folder: Path | None = None) -> str:
    done = subprocess.run(
        [shutil.which(str(words[0]), path=_PATH) or str(words[0]), *map(str, words[1:])],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def write_tree(
    root: Path, machine: int = 0xB7, python: str = "3.11", glibc: str = "2.36-9+rpt2", arecord: bool = True
) -> None:
    """A system as far as it is looked at."""
    program = b"\x7fELF" + bytes(14) + struct.pack("<H", machine) + bytes(100)
    files = {
        "usr/lib/os-release": b'PRETTY_NAME="Raspberry Pi OS of the test"\nID=debian\n',
        f"usr/bin/python{python}": program,
        "var/lib/dpkg/status": DPKG.format(glibc=glibc).encode(),
        "usr/share/zoneinfo/Europe/Brussels": b"TZif2",
        "etc/hostname": b"raspberrypi\n",
        "etc/hosts": b"127.0.0.1\tlocalhost\n127.0.1.1\t\traspberrypi\n",
        "etc/timezone": b"Europe/London\n",
        **({"usr/bin/arecord": program} if arecord else {}),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "usr/lib/systemd/system").mkdir(parents=True)
    (root / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (root / "usr/bin/python3").symlink_to(f"python{python}")
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Europe/London")


def make_image(
    folder: Path, megabytes: int = 24, gpt: bool = False, change: Callable[[Path], None] | None = None,
    checksums: bool = True, **system: object,
) -> Path:  # fmt: skip
    """An image in ``folder``; ``change`` alters its files before. Checksums of ext4 are always so on a card."""
    tree, image = folder / "tree", folder / "raspios.img"
    write_tree(tree, **system)  # type: ignore[arg-type]
    if change is not None:
        change(tree)
    sectors = megabytes * 2048
    with image.open("wb") as file:
        file.truncate((ROOT + sectors + 64) * SECTOR)
        file.write(_gpt(sectors) if gpt else _mbr([(0x0C, BOOT, 512), (0x83, ROOT, sectors)]))
    features = "metadata_csum" if checksums else "^metadata_csum"
    run("mkfs.ext4", "-q", "-F", "-O", features, "-d", tree, "-E", f"offset={ROOT * SECTOR}", image, f"{megabytes}M")
    return image


def take_out(image: Path, folder: Path) -> Path:
    """All files of the system, in ``folder``."""
    folder.mkdir()
    run("debugfs", "-R", f'rdump / "{folder}"', f"{image}?offset={ROOT * SECTOR}")
    return folder


def superblock(image: Path) -> str:
    return run("dumpe2fs", "-h", f"{image}?offset={ROOT * SECTOR}")


def _mbr(partitions: list[tuple[int, int, int]]) -> bytes:
    entries = [struct.pack("<B3sB3sII", 0, b"", kind, b"", begin, size) for kind, begin, size in partitions]
    return bytes(446) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def _gpt(sectors: int) -> bytes:
    header = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 4, 128)
    entries = [bytes([kind]) * 16 + bytes(16) + struct.pack("<QQ", begin, begin + size - 1) for kind, begin, size in
               ((1, BOOT, 512), (2, ROOT, sectors))]  # fmt: skip
    table = b"".join(entry.ljust(128, b"\0") for entry in entries)
    return _mbr([(0xEE, 1, 0xFFFFFFFF)]) + header.ljust(SECTOR, b"\0") + table
