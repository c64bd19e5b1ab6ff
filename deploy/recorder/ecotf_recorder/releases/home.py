"""The folder of releases belongs to root alone; what the recorder writes is in a folder of its own below it.

Whoever may rename in a folder decides what every path through it means. So the recorder's user, whom a hostile model
might take over, may write below ``data`` and nowhere else. An older installation is moved to that at its next start.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from ecotf_recorder.releases.bundle import ReleaseError
from ecotf_recorder.releases.settings import DATA, ReleaseSettings

_OF_ROOT = ("releases", "current", "previous")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def make_home(settings: ReleaseSettings) -> list[str]:
    """Make the folders, and move what an older version kept beside the releases into ``data``; nothing is lost.

    Every step may be repeated: a power cut in the middle is finished by the next start.

    Returns
    -------
    list of str
        What was moved.

    Raises
    ------
    ReleaseError
        The place is a link.
    """
    state = settings.state
    state.mkdir(parents=True, exist_ok=True)
    home = _open(state)
    try:
        if os.geteuid() == 0:
            os.fchown(home, 0, 0)  # from here on nobody else renames anything in it
        os.fchmod(home, 0o755)
        data = _open_data(settings, home)
        try:
            moved = _move_away(home, data)
        finally:
            os.fsync(data)
            os.close(data)
        os.fsync(home)
    finally:
        os.close(home)
    settings.releases.mkdir(exist_ok=True)
    return moved


def check_owned(folder: Path) -> None:
    """Refuse a folder in which another user than root (in tests: than ourselves) could rename something.

    Raises
    ------
    ReleaseError
        It is not there, is a link, or may be changed by others.
    """
    try:
        found = folder.lstat()
    except OSError:
        raise ReleaseError(f"{folder} is not there; set the recorder up with flash_device.py init") from None
    if not stat.S_ISDIR(found.st_mode):
        raise ReleaseError(f"{folder} is no folder; set the recorder up with flash_device.py init")
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        raise ReleaseError(
            f"{folder} may be changed by others than root; set the recorder up with flash_device.py init"
        )


def _open(path: Path) -> int:
    try:
        return os.open(path, _FOLDER)
    except OSError as error:
        raise ReleaseError(f"{path} is no folder that can be used ({error.strerror})") from None


def _open_data(settings: ReleaseSettings, home: int) -> int:
    """Make ``data`` the recorder's own; a link or a file of that name is set aside."""
    if _exists(DATA, home) and not stat.S_ISDIR(os.lstat(DATA, dir_fd=home).st_mode):
        os.rename(DATA, _free_name(f"{DATA}.aside", home), src_dir_fd=home, dst_dir_fd=home)
    if not _exists(DATA, home):
        os.mkdir(DATA, 0o750, dir_fd=home)
    data = os.open(DATA, _FOLDER, dir_fd=home)
    if os.geteuid() == 0 and settings.user:
        try:
            user = pwd.getpwnam(settings.user)
        except KeyError:
            return data  # init makes the user; systemd gives them the folder at the start
        os.fchown(data, user.pw_uid, user.pw_gid)
    os.fchmod(data, 0o750)  # voices, and where roosts are, are not for every user of the board
    return data


def _move_away(home: int, data: int) -> list[str]:
    moved = []
    for name in sorted(os.listdir(home)):
        if name == DATA or (name in _OF_ROOT and _is_ours(name, home)):
            continue
        os.rename(name, _free_name(name, data), src_dir_fd=home, dst_dir_fd=data)
        moved.append(name)
    return moved


def _is_ours(name: str, home: int) -> bool:
    """Check that ``releases`` is a folder, and the others links, that root made."""
    found = os.lstat(name, dir_fd=home)
    kind = stat.S_ISDIR if name == "releases" else stat.S_ISLNK
    closed = name != "releases" or not found.st_mode & 0o022
    return kind(found.st_mode) and found.st_uid in (0, os.geteuid()) and closed


def _free_name(name: str, folder: int) -> str:
    tried = [name, *(f"{name}.older-{number}" for number in range(1, 1000))]
    return next(one for one in tried if not _exists(one, folder))


def _exists(name: str, folder: int) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True
