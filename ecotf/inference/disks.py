"""Disks with recordings that disappear while a job reads them, and come back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path


class Disks:
    """Waits for the folders of a job where they are gone: unplugged, unmounted, or a share that does not answer.

    Parameters
    ----------
    arguments
        Files, folders or patterns, as the user gave them.
    log
        Takes a line when a folder is gone, and when it is back.
    every_s
        How often it is looked for.
    """

    def __init__(self, arguments: Iterable[str], log: Callable[[str], object], every_s: float = 5.0) -> None:
        self._log, self._every_s = log, every_s
        folders = {_folder_of(argument) for argument in arguments}
        self._roots = {folder: device for folder in folders if (device := _device(folder)) is not None}

    def waited(self) -> bool:
        """Wait until all folders are there; return whether one was gone."""
        gone = [folder for folder in self._roots if self._is_gone(folder)]
        for folder in gone:
            self._log(f"{folder}: is gone; waiting for it")
            while self._is_gone(folder):
                time.sleep(self._every_s)
            self._log(f"{folder}: is back")
        return bool(gone)

    def _is_gone(self, folder: Path) -> bool:
        return _device(folder) != self._roots[folder]


def _folder_of(argument: str) -> Path:
    """Return the folder to watch: the argument, or what is above its first pattern or its file."""
    path = Path(os.path.abspath(argument))
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _device(folder: Path) -> int | None:
    """Return the device that a folder with something in it is on: an unmounted one is an empty folder of another."""
    try:
        with os.scandir(folder) as inside:
            return os.stat(folder).st_dev if next(inside, None) is not None else None
    except OSError:
        return None
