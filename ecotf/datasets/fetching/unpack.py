"""Unpack a zip from somebody else: nothing is written outside of the folder, and no small file fills the disk."""

from __future__ import annotations

import os
import shutil
import stat
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ecotf.errors import DataError
from ecotf.files import atomic_file

if TYPE_CHECKING:
    import zipfile

_MOST_FILES = 2_000_000
_LARGEST_RATIO = 100  # sound shrinks to a half or a quarter; of a bomb, a thousandth is left
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")


def unpack_zip(archive: str | Path, folder: str | Path, inside: str | None = None) -> int:
    """Unpack an archive; files that are there already with the same size are left as they are.

    Parameters
    ----------
    archive
        The ``.zip``.
    folder
        Made if absent.
    inside
        The one folder that all of the archive belongs in, as ``train``. Where its files do not lie in a folder of this
        name, one is made for them.

    Returns
    -------
    int
        How many files are there now.

    Raises
    ------
    DataError
        The archive is damaged, locked, unreasonably large, or names a place outside of the folder. All names and sizes
        are looked at before anything is written.
    """
    import zipfile

    archive, folder = Path(archive), Path(folder)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _checked(opened, archive)
            if inside is not None and any(path.parts[0] != inside for path in entries):
                folder = folder / inside
            needed = sum(entry.file_size for entry in entries.values())
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise DataError(f"{archive}: unpacks to {needed:,} bytes, and {free:,} are free in {folder}")
            for path, entry in entries.items():
                target = folder / path
                if target.is_file() and target.stat().st_size == entry.file_size:
                    continue
                with opened.open(entry) as source, atomic_file(target) as partial, open(partial, "wb") as stream:
                    shutil.copyfileobj(source, stream, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise DataError(f"{archive}: not a zip file, or a damaged one ({error}); download it again") from None
    except FileNotFoundError:
        raise DataError(f"{archive}: there is no such file") from None
    return len(entries)


def _checked(opened: zipfile.ZipFile, archive: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The files of an archive by their place, all of which may be written."""
    entries: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for entry in opened.infolist():
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if (
            path.is_absolute()
            or ".." in path.parts
            or ":" in path.parts[0]
            or kind not in (0, stat.S_IFREG, stat.S_IFDIR)
        ):
            raise DataError(f"{archive}: holds {entry.filename!r}, which leads out of the folder; it is not unpacked")
        if entry.flag_bits & 1:
            raise DataError(f"{archive}: is locked with a password")
        if not entry.is_dir() and not any(part in _JUNK for part in path.parts):
            entries[path] = entry
    size, needed = os.path.getsize(archive), sum(entry.file_size for entry in entries.values())
    if len(entries) > _MOST_FILES or needed > _LARGEST_RATIO * size:
        raise DataError(
            f"{archive}: {len(entries):,} files of {needed:,} bytes in {size:,} bytes are no archive of sound"
        )
    return entries
