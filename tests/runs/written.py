"""What a write leaves behind, and a disk that has no room for it."""

import errno
from pathlib import Path

from ecotf.files import PARTIAL_PREFIX


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(PARTIAL_PREFIX)]


def full_disk(*arguments, **keywords):
    raise OSError(errno.ENOSPC, "No space left on device")
