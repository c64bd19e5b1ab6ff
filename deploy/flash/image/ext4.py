"""Files in an ext4 file system that lies in a file: read and written by e2fsprogs, which Debian has on every computer.

Nothing is mounted. ``debugfs`` ends with status 0 whatever happens, so what it complains of is read, and all that was
written is read back.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ecotf_recorder.releases.bundle import sha256_of

from deploy.flash.image.partitions import Partition, enlarge
from ecotf.errors import ConfigError, EcotfError

_PROGRAMS = ("debugfs", "e2fsck", "resize2fs")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_NOT_THERE = ("File not found", "inode is not a directory")
_SUPERBLOCK_AT, _NEEDS_RECOVERY = 1024, 0x4


@dataclass(frozen=True)
class Entry:
    """A file of ``content``, or a link to ``link``, that is written to ``path``; it belongs to root."""

    path: str
    content: Path | None = None
    link: str = ""
    mode: int = 0o644

    @property
    def size(self) -> int:
        """Bytes that it takes, its inode left out."""
        return self.content.stat().st_size if self.content is not None else 0


def check_programs() -> None:
    """Refuse a computer without e2fsprogs.

    Raises
    ------
    ConfigError
        With the command that installs them.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} is not on this computer; run: sudo apt install e2fsprogs")


class Ext4:
    """One file system.

    Parameters
    ----------
    image
        The file that it lies in.
    partition
        Where in the file.
    """

    def __init__(self, image: Path, partition: Partition) -> None:
        if "?" in image.name:
            raise ConfigError(f"{image}: a name with ? is not possible for an image")
        self.image, self.partition = image, partition
        self._folder = image.resolve().parent
        self.place = f"{image.name}?offset={partition.offset}"

    def read(self, path: str) -> bytes | None:
        """Return the content of a file; None if it is not there. A link is not followed."""
        if self._kind(path) != "regular":
            return None
        done = self._debugfs("-R", f"cat {_quoted(path)}")
        return done.stdout

    def link(self, path: str) -> str | None:
        """Return where a link points to; None if there is no link."""
        return self._stat(path).get("link")

    def exists(self, path: str) -> bool:
        """Check for a file, a folder or a link."""
        return bool(self._stat(path))

    def why_unclean(self) -> str:
        """Return what ``e2fsck`` finds wrong, in one line; empty if nothing."""
        incompat = self._superblock("<I", 96)
        if incompat & _NEEDS_RECOVERY:
            return "it was in use and not shut down; its journal has changes that are not in place yet"
        done = self._run("e2fsck", "-fn", self.place)
        self._check_known(done)
        lines = [line for line in done.stdout.decode(errors="replace").splitlines() if line and "Pass " not in line]
        return "" if done.returncode == 0 else lines[0] if lines else f"e2fsck ended with status {done.returncode}"

    def room(self) -> tuple[int, int, int]:
        """Return the free bytes that are not reserved, the free inodes, and the bytes of a block."""
        block = 1024 << self._superblock("<I", 24)
        reserved, free = (self._superblock("<I", low) + (self._high(high) << 32) for low, high in ((8, 340), (12, 344)))
        return max(0, free - reserved) * block, self._superblock("<I", 16), block

    def needed(self, entries: Sequence[Entry]) -> int:
        """Return the bytes that entries take, with new folders and what the file system itself needs for them."""
        block = self.room()[2]
        blocks = sum(-(-entry.size // block) + 1 for entry in entries)
        return (blocks + 2 * len(self.missing_folders(entries))) * block

    def missing_folders(self, entries: Sequence[Entry]) -> list[str]:
        """Return the folders that are not there yet, outer ones first.

        Raises
        ------
        ConfigError
            Something else has the name of a folder or a file.
        """
        parents = {str(parent) for entry in entries for parent in PurePosixPath(entry.path).parents}
        kinds = {parent: self._kind(parent) for parent in sorted(parents, key=lambda one: (one.count("/"), one))}
        for path, kind in [*kinds.items(), *((entry.path, self._kind(entry.path)) for entry in entries)]:
            if kind not in (("directory", "") if path in kinds else ("regular", "symlink", "")):
                raise ConfigError(f"{self.image}: {path} in it is a {kind}, which is in the way")
        return [parent for parent, kind in kinds.items() if not kind]

    def enlarge(self, added: int) -> None:
        """Let it have ``added`` more bytes, a multiple of 1 MiB, with its partition and the file.

        Raises
        ------
        ConfigError
            Something lies behind the partition.
        EcotfError
            It does not work.
        """
        self.partition = enlarge(self.image, self.partition, added)
        # -f: whether it is sound was asked before, and where the image was made, a clock may have been wrong.
        done = self._run("resize2fs", "-f", self.place, f"{self.partition.size // 1024}K")
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise EcotfError(f"{self.image}: cannot be enlarged ({said[-1] if said else 'resize2fs does not say why'})")
        with self.image.open("r+b") as file:  # resize2fs cuts off what is behind the file system
            file.truncate(max(self.image.stat().st_size, self.partition.offset + self.partition.size))

    def write(self, entries: Sequence[Entry]) -> None:
        """Write entries, and the folders that they need; files of the same name are replaced.

        Raises
        ------
        EcotfError
            It could not be written, or the file system is not sound afterwards, or gives back something else.
        """
        lines = []
        for folder in self.missing_folders(entries):
            lines += [f"mkdir {_quoted(folder)}", *_owned(folder, 0o40755)]
        for entry in entries:
            if self.exists(entry.path):
                lines.append(f"rm {_quoted(entry.path)}")
            if entry.content is None:
                lines.append(f"symlink {_quoted(entry.path)} {_quoted(entry.link)}")
            else:
                lines.append(f"write {_quoted(str(entry.content.resolve()))} {_quoted(entry.path)}")
                lines += _owned(entry.path, 0o100000 | entry.mode)
        self._script(lines, "-w")
        wrong = self.why_unclean()
        if wrong:
            raise EcotfError(f"{self.image}: the file system is not sound after writing ({wrong})")
        self._compare(entries)

    def _compare(self, entries: Sequence[Entry]) -> None:
        """Read all of it back."""
        with tempfile.TemporaryDirectory() as scratch:
            files = {entry.path: Path(scratch) / str(number) for number, entry in enumerate(entries) if entry.content}
            self._script([f"dump {_quoted(path)} {_quoted(str(file))}" for path, file in files.items()])
            for entry in entries:
                found = self._stat(entry.path)
                if entry.content is None:
                    same = found.get("link") == entry.link
                else:
                    same = sha256_of(files[entry.path]) == sha256_of(entry.content)
                    same &= found.get("kind") == "regular" and found.get("owner") == f"{entry.mode:04o} 0 0"
                if not same:
                    raise EcotfError(f"{self.image}: gives back another {entry.path} than was written")

    def _kind(self, path: str) -> str:
        return self._stat(path).get("kind", "")

    def _stat(self, path: str) -> dict[str, str]:
        """Kind, owner (mode, user and group) and, of a link, its target; empty if nothing is there."""
        text = self._debugfs("-R", f"stat {_quoted(path)}", missing_is_fine=True).stdout.decode(errors="replace")
        kind = re.search(r"Type: (\w+)\s+Mode:\s+(\d+)", text)
        if kind is None:
            return {}
        found = {"kind": kind[1]}
        owner = re.search(r"User:\s+(\d+)\s+Group:\s+(\d+)", text)
        if owner is not None:
            found["owner"] = f"{kind[2]} {owner[1]} {owner[2]}"
        target = re.search(r'Fast link dest: "(.*)"', text)
        return found | ({"link": target[1]} if target is not None else {})

    def _script(self, lines: Sequence[str], *options: str) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".debugfs", encoding="utf-8") as script:
            script.write("".join(f"{line}\n" for line in lines))
            script.flush()
            self._debugfs(*options, "-f", script.name)

    def _debugfs(self, *words: str, missing_is_fine: bool = False) -> subprocess.CompletedProcess[bytes]:
        done = self._run("debugfs", *words, self.place)
        self._check_known(done)
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if not re.match(r"debugfs \d", line)]
        absent = [line for line in said if missing_is_fine and any(words in line for words in _NOT_THERE)]
        complaints = [line for line in said if line.strip() and line not in absent]
        if complaints or done.returncode:
            raise EcotfError(f"{self.image}: debugfs: {complaints[0] if complaints else f'status {done.returncode}'}")
        return done

    def _check_known(self, done: subprocess.CompletedProcess[bytes]) -> None:
        """Refuse an image that is newer than the programs here."""
        if b"unsupported" in done.stderr:
            raise ConfigError(
                f"{self.image}: made with a newer e2fsprogs than this computer has; use a newer Debian or Ubuntu"
            )

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        found = shutil.which(program, path=_PATH) or program
        return subprocess.run(
            [found, *words], cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            env={**os.environ, "LC_ALL": "C", "DEBUGFS_PAGER": "__none__"},
        )  # fmt: skip

    def _superblock(self, form: str, at: int) -> int:
        with self.image.open("rb") as file:
            file.seek(self.partition.offset + _SUPERBLOCK_AT + at)
            return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])

    def _high(self, at: int) -> int:
        """The upper half of a number of blocks, where the file system counts with 64 bits."""
        return self._superblock("<I", at) if self._superblock("<I", 96) & 0x80 else 0


def _owned(path: str, mode: int) -> list[str]:
    wanted = {"mode": f"0{mode:o}", "uid": "0", "gid": "0"}
    return [f"sif {_quoted(path)} {field} {value}" for field, value in wanted.items()]


def _quoted(path: str) -> str:
    if '"' in path or not path.isprintable():
        raise ConfigError(f"{path!r}: a name with quotes or control characters cannot be put into an image")
    return f'"{path}"'
