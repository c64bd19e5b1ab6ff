"""``image``: from the image of a system to that of a recorder which no network has to reach."""

from __future__ import annotations

import hashlib
import lzma
import math
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ecotf_recorder.releases.bundle import Bundle, ReleaseError
from ecotf_recorder.releases.config_text import change_text

from deploy.flash import RECORDER
from deploy.flash.image.checking import ETC, check_bundle, check_settings, check_sound
from deploy.flash.image.ext4 import Entry, Ext4, check_programs
from deploy.flash.image.plan import Host, plan_bundle, plan_host, plan_setup
from deploy.flash.image.system import read_system
from deploy.flash.setting_up import SetupChoices, collect_files
from deploy.flash.wheels import build_recorder_wheel, download_wheels
from ecotf.errors import ConfigError, EcotfError
from ecotf.files import atomic_file

_XZ = b"\xfd7zXZ\x00"
_PACKED = {
    b"PK\x03\x04": "unzip",
    b"\x1f\x8b": "gunzip --keep",
    b"\x28\xb5\x2f\xfd": "unzstd",
    b"BZh": "bunzip2 --keep",
}
_MIB = 1 << 20
_SPARE_MIB = 64
_COMPILED = 1.4  # what Python adds when it installs a package


@dataclass(frozen=True)
class ImageChoices:
    """What goes into an image; ``setup`` is what ``init`` takes, ``table`` one of plausible labels."""

    setup: SetupChoices
    bundle: Bundle | None = None
    table: Path | None = None
    host: Host = field(default_factory=Host)

    def check(self) -> None:
        """Refuse what needs no image to be refused.

        Raises
        ------
        ConfigError
            The first mistake.
        """
        self.setup.check()
        self.host.check()
        if self.table is not None and not self.table.is_file():
            raise ConfigError(f"{self.table}: no such file")
        check_settings(self.config, self.bundle, self.table)

    @property
    def config(self) -> Path:
        """The config that the recorder gets."""
        return self.setup.config or RECORDER / "config.toml"


def prepare_image(image: Path, output: Path, choices: ImageChoices, say: Callable[[str], None]) -> None:
    """Write ``output``, a copy of ``image`` with a recorder in it; both may be the same file.

    It appears when all of it is written, checked and read back, or not at all.

    Raises
    ------
    ConfigError
        The image, or something that should go into it, cannot be used.
    EcotfError
        The disk is full, a package is missing, or the image gives back something else than was written.
    """
    check_programs()
    choices.check()
    _check_files(image, output)
    with atomic_file(output) as partial, tempfile.TemporaryDirectory() as scratch:
        _copy(image, partial, say)
        try:
            _fill(partial, choices, Path(scratch), say)
        except EcotfError as error:
            raise type(error)(str(error).replace(str(partial), str(image))) from None


def _fill(partial: Path, choices: ImageChoices, scratch: Path, say: Callable[[str], None]) -> None:
    system = read_system(partial)
    board, files = system.board, system.files
    say(
        f"{system.name}: {board.machine}, Python {board.python[0]}.{board.python[1]}, glibc "
        f"{board.glibc[0]}.{board.glibc[1]}; {files.room()[0] / 1e6:.0f} MB free"
    )
    check_sound(choices.config, system)
    if choices.bundle is not None:
        check_bundle(choices.bundle, choices.setup.trust, system)
    uploads, texts = scratch / "uploads", scratch / "texts"
    uploads.mkdir()
    texts.mkdir()
    entries = plan_host(choices.host, system, texts)
    setup = choices.setup
    if choices.table is not None:
        config, table = _with_table(choices, choices.table, texts)
        setup = replace(setup, config=config)
        entries.append(table)
    download_wheels(build_recorder_wheel(uploads), board, uploads, setup.wheels)
    collect_files(setup, uploads)
    entries += plan_setup(sorted(uploads.iterdir()))
    entries += plan_bundle(choices.bundle) if choices.bundle is not None else []
    _make_room(files, entries, uploads, say)
    files.write(entries)
    size = sum(entry.size for entry in entries)
    say(f"{len(entries)} files, {size / 1e6:.1f} MB: written, read back and compared; the file system is sound")


def _check_files(image: Path, output: Path) -> None:
    for path, absent in ((image, "no such file"), (output, "")):
        try:
            mode = path.stat().st_mode
        except OSError:
            if absent:
                raise ConfigError(f"{path}: {absent}") from None
            continue
        if not stat.S_ISREG(mode):
            raise ConfigError(f"{path}: not a file; images are files, and Raspberry Pi Imager writes them to a card")
    if output.exists() and not output.samefile(image):
        raise ConfigError(f"{output}: is there already; give another --output, or delete it")


def _copy(image: Path, partial: Path, say: Callable[[str], None]) -> None:
    with image.open("rb") as file:
        begin = file.read(8)
    for magic, command in _PACKED.items():
        if begin.startswith(magic):
            raise ConfigError(f"{image}: packed; unpack it first: {command} {image}")
    if not begin.startswith(_XZ):
        shutil.copyfile(image, partial)
        return
    say(f"unpacking {image.name}; it takes a minute or two")
    try:
        with lzma.open(image) as packed, partial.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (lzma.LZMAError, EOFError) as error:
        raise ConfigError(f"{image}: damaged or cut off ({error}); download it again") from None


def _with_table(choices: ImageChoices, table: Path, scratch: Path) -> tuple[Path, Entry]:
    """Name a table as the recorder's ``config --plausible`` does, and let the config name it."""
    name = f"plausible-{hashlib.sha256(table.read_bytes()).hexdigest()[:12]}.csv"
    config, place = scratch / "config.toml", f"{ETC}/{name}"
    try:
        text = change_text(choices.config.read_text(encoding="utf-8"), {"rules.plausible": place})
    except ReleaseError as error:
        raise ConfigError(f"{choices.config}: {error}") from None
    config.write_text(text, encoding="utf-8")
    return config, Entry(place, table)


def _make_room(files: Ext4, entries: list[Entry], uploads: Path, say: Callable[[str], None]) -> None:
    """Enlarge the partition where it is too small for what is written, or for what the first start adds to it."""
    free, inodes, _ = files.room()
    later = _COMPILED * sum(
        member.file_size for wheel in uploads.glob("*.whl") for member in zipfile.ZipFile(wheel).infolist()
    )
    missing = files.needed(entries) + later - free
    if missing > 0 or len(entries) + len(files.missing_folders(entries)) > inodes:
        added = (math.ceil(max(missing, 0) / _MIB) + _SPARE_MIB) * _MIB
        files.enlarge(added)
        say(f"its system partition is enlarged by {added / 1e6:.0f} MB")
