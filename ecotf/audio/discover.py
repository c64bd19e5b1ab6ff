"""Finding the recordings that a command line names: files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

SOUND_EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3", ".w64", ".aif", ".aiff")


def find_recordings(
    arguments: Sequence[str | Path], recursive: bool = True
) -> tuple[list[Path], list[tuple[str, str]]]:
    """Find the recordings that files, folders and glob patterns stand for.

    A file named outright is always taken, whatever its extension, so that a mistake shows in the ledger. In folders and
    patterns only sound files (:data:`SOUND_EXTENSIONS`, in any case) are taken, and hidden files and folders, such as
    the ``._night.wav`` that macOS leaves on memory cards, are passed over.

    Parameters
    ----------
    arguments
        Files, folders, or patterns such as ``night_*/**/*.wav``.
    recursive
        Whether to look into the folders inside a folder.

    Returns
    -------
    recordings
        Sorted paths; a file that is reached in several ways comes once.
    problems
        ``(argument, reason)`` for every argument that stands for no recording, and for folders that cannot be read.
    """
    found: dict[Path, Path] = {}
    problems: list[tuple[str, str]] = []
    for argument in map(str, arguments):
        if os.path.isfile(argument):
            matches = [Path(argument)]
        elif os.path.isdir(argument):
            matches = list(_in_folder(argument, recursive, problems))
            if not matches:
                where = "" if recursive else " itself (folders inside it were not searched)"
                problems.append((argument, f"no recordings in this folder{where}; looked for {_extensions()}"))
        elif glob.has_magic(argument):
            matches = list(_matching(argument, recursive, problems))
            if not matches:
                problems.append((argument, f"this pattern matches no recording; looked for {_extensions()}"))
        else:
            matches = []
            problems.append((argument, "no such file or folder"))
        for path in matches:
            found.setdefault(path.resolve(), path)
    return sorted(found.values()), problems


def _in_folder(folder: str, recursive: bool, problems: list[tuple[str, str]]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        problems.append((str(error.filename), f"this folder cannot be read ({error.strerror})"))

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        yield from (Path(parent, name) for name in names if _is_recording(name))


def _matching(pattern: str, recursive: bool, problems: list[tuple[str, str]]) -> Iterator[Path]:
    for match in glob.iglob(pattern, recursive=True):
        if os.path.isdir(match):
            if "**" not in pattern:  # `**` lists the files below by itself
                yield from _in_folder(match, recursive, problems)
        elif _is_recording(os.path.basename(match)):
            yield Path(match)


def _is_recording(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SOUND_EXTENSIONS)


def _extensions() -> str:
    return ", ".join(SOUND_EXTENSIONS)
