"""Find the recordings that a command line names: files, folders and patterns."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SOUND_EXTENSIONS = (
    *(".wav", ".wave", ".bwf", ".wavex", ".rf64", ".bw64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2"),
    *(".aif", ".aiff", ".aifc", ".caf", ".au", ".snd", ".voc", ".nist", ".sph", ".avr", ".paf", ".pvf", ".ircam"),
)
"""Endings of the formats that libsndfile reads and that name nothing else (``.mat`` and ``.raw`` do)."""

_HIDDEN, _HIDDEN_FOLDERS, _DANGLING = "hidden files", "hidden folders", "links to nothing"


@dataclass
class Found:
    """The recordings that files, folders and patterns name.

    Attributes
    ----------
    recordings
        Sorted paths; a file that is reached in several ways comes once.
    problems
        ``(argument, reason)`` for every argument that stands for no recording, and for folders that cannot be read.
    passed_over
        How many files were not taken, by their ending in small letters, or by ``hidden files``, ``hidden folders``,
        ``links to nothing`` and ``files without an ending``.
    """

    recordings: list[Path]
    problems: list[tuple[str, str]] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)

    @property
    def passed_over_text(self) -> str:
        """One line about what was passed over; empty where nothing was.

        Examples
        --------
        >>> Found([], [], {".txt": 2, ".xml": 1, "hidden files": 3}).passed_over_text
        '6 files passed over: .txt, .xml, hidden files'
        """
        count = sum(self.passed_over.values())
        return f"{count} file{'s' * (count != 1)} passed over: {', '.join(self.passed_over)}" if count else ""


def find_recordings(arguments: Sequence[str | Path], recursive: bool = True) -> Found:
    """Find the recordings that files, folders and glob patterns stand for.

    A file named outright is always taken, whatever its ending, so that a mistake shows in the ledger. In folders and
    patterns only sound files (:data:`SOUND_EXTENSIONS`, in any case) are taken; others are counted, and so are hidden
    files and folders, such as the ``._night.wav`` that macOS leaves on memory cards. Linked folders are followed, each
    once.

    Parameters
    ----------
    arguments
        Files, folders, or patterns such as ``night_*/**/*.wav``.
    recursive
        Whether to look into the folders inside a folder.
    """
    search = _Search(recursive)
    for argument in arguments:
        search.take(os.fspath(argument))
    passed_over: dict[str, int] = {}
    kinds = [kind for path, kind in search.passed_over.items() if os.path.realpath(path) not in search.found]
    for kind in sorted(kinds, key=lambda kind: (not kind.startswith("."), kind)):
        passed_over[kind] = passed_over.get(kind, 0) + 1
    return Found(sorted(search.found.values()), search.problems, passed_over)


class Recordings:
    """The recordings that `find_recordings` finds, gone through again each time and never held; in order of folders.

    Each going through looks at the disk anew, so that a folder may grow meanwhile.

    Parameters
    ----------
    still_s
        Leave out files that were written to within so many seconds: they may not be whole yet.

    Attributes
    ----------
    problems, passed_over
        As of `Found`, of the last time.
    too_new
        How many were left out as too new the last time.
    """

    def __init__(self, arguments: Sequence[str | Path], recursive: bool = True, still_s: float = 0.0) -> None:
        self.arguments = [os.fspath(argument) for argument in arguments]
        self._recursive, self.still_s = recursive, still_s
        self.problems: list[tuple[str, str]] = []
        self.passed_over: dict[str, int] = {}
        self.too_new = 0
        self._count: int | None = None

    def __iter__(self) -> Iterator[Path]:
        """Go through them; one that is reached in several ways comes once."""
        search, seen, count, too_new = _Search(self._recursive), set(), 0, 0
        search.passed_over = _Counts(argument for argument in self.arguments if os.path.isfile(argument))
        for argument in self.arguments:
            for path in search.matches(argument):
                key = hash(os.path.realpath(path))
                if key in seen:
                    continue
                seen.add(key)
                if self.still_s and _age_s(path) < self.still_s:
                    too_new += 1
                    continue
                count += 1
                yield Path(path)
        self.problems, self.passed_over = search.problems, search.passed_over.kinds
        self._count, self.too_new = count, too_new

    def __len__(self) -> int:
        """Return how many there were the last time; goes through them where nobody has."""
        if self._count is None:
            for _ in self:
                pass
        return self._count or 0

    def fingerprint(self) -> int:
        """Go through them; return a number that changes with their names and with when they were written; 0 of none."""
        return sum(hash((path, _age_s(path, 0.0))) for path in self)

    def __contains__(self, path: object) -> bool:
        """Say whether a path is among them."""
        return any(path == one for one in self)

    @property
    def passed_over_text(self) -> str:
        """One line about what was passed over; empty where nothing was."""
        kinds = sorted(self.passed_over.items(), key=lambda kind: (not kind[0].startswith("."), kind[0]))
        return Found([], [], dict(kinds)).passed_over_text


class _Counts(dict[str, str]):
    """Counts what is passed over by kind, and holds no names; files that are named outright are not passed over."""

    def __init__(self, named: Iterable[str]) -> None:
        super().__init__()
        self.kinds: dict[str, int] = {}
        self._seen = {hash(os.path.abspath(path)) for path in named}

    def setdefault(self, path: str, kind: str = "") -> str:
        if hash(path) not in self._seen:
            self._seen.add(hash(path))
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
        return kind


def _age_s(path: str | Path, now_s: float | None = None) -> float:
    try:
        return (time.time() if now_s is None else now_s) - os.stat(path).st_mtime
    except OSError:
        return 0.0


def shown_name(path: str | Path) -> str:
    r"""Return a path that any terminal and any table can show: bytes that are not UTF-8 as ``\xe9``.

    Examples
    --------
    >>> shown_name("for\udceat.wav")
    'for\\xeat.wav'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _counted(paths: Iterator[str]) -> Generator[str, None, int]:
    """Pass paths on; return how many there were."""
    count = 0
    for path in paths:
        yield path
        count += 1
    return count


class _Search:
    """The files that were found and those that were passed over, by their real paths."""

    def __init__(self, recursive: bool) -> None:
        self.found: dict[str, Path] = {}
        self.passed_over: dict[str, str] = {}
        self.problems: list[tuple[str, str]] = []
        self._recursive = recursive

    def take(self, argument: str) -> None:
        for path in self.matches(argument):
            self.found.setdefault(os.path.realpath(path), Path(path))

    def matches(self, argument: str) -> Iterator[str]:
        looked_for = f"looked for {', '.join(SOUND_EXTENSIONS)}"
        if os.path.isfile(argument):
            yield argument
        elif os.path.isdir(argument):
            if not (yield from _counted(self._in_folder(argument))):
                where = "" if self._recursive else " itself (folders inside it were not searched)"
                self.problems.append((argument, f"no recordings in this folder{where}; {looked_for}"))
        elif glob.has_magic(argument) and not os.path.lexists(argument):
            if not (yield from _counted(self._matching(argument))):
                self.problems.append((argument, f"this pattern matches no recording; {looked_for}"))
        else:
            what = "a link to nothing" if os.path.islink(argument) else "no such file or folder"
            self.problems.append((argument, "is not an ordinary file" if os.path.exists(argument) else what))

    def _in_folder(self, folder: str) -> Iterator[str]:
        """The sound files of a folder. Links to folders wait until the folders are done, so that real paths win."""
        waiting, seen = [folder], set()
        while waiting:
            for parent, folders, names in os.walk(waiting.pop(0), onerror=self._unreadable):
                real = os.path.realpath(parent)
                linked = sorted(name for name in folders if os.path.islink(os.path.join(parent, name)))
                for name in [name for name in folders if name.startswith(".")]:
                    self._pass_over(os.path.join(parent, name), _HIDDEN_FOLDERS)
                if real in seen:
                    folders[:] = []
                    continue
                seen.add(real)
                waiting += [os.path.join(parent, name) for name in linked if self._recursive and name[0] != "."]
                folders[:] = sorted(
                    name for name in folders if self._recursive and name[0] != "." and name not in linked
                )
                yield from (path for name in sorted(names) if self._is_recording(path := os.path.join(parent, name)))

    def _matching(self, pattern: str) -> Iterator[str]:
        for match in sorted(glob.iglob(pattern, recursive=True)):
            if os.path.isdir(match):
                if "**" not in pattern:  # `**` lists the files below by itself
                    yield from self._in_folder(match)
            elif self._is_recording(match):
                yield match

    def _is_recording(self, path: str) -> bool:
        name = os.path.basename(path)
        ending = os.path.splitext(name)[1].lower()
        if name.startswith("."):
            kind = _HIDDEN
        elif not os.path.exists(path):
            kind = _DANGLING
        elif ending in SOUND_EXTENSIONS:
            return True
        else:
            kind = ending if 1 < len(ending) < 10 and ending[1:].isalnum() else "files without an ending"
        self._pass_over(path, kind)
        return False

    def _pass_over(self, path: str, kind: str) -> None:
        self.passed_over.setdefault(os.path.abspath(path), kind)

    def _unreadable(self, error: OSError) -> None:
        self.problems.append((str(error.filename), f"this folder cannot be read ({error.strerror})"))
