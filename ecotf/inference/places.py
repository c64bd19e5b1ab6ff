"""The places of a recording's files in the output folder, in the same folders as the recordings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from ecotf.files import LONGEST_NAME
from ecotf.inference.compact import CompactMap, key_of

_LONGEST_ENDING = 24  # bytes that a format may add to the name, as .selections.txt does


class Places:
    """The places of recordings, relative to the output folder and without the ending of a format.

    A recording has its own name without the ending (``site1/a``), or with it (``site1/a.flac``) where another recording
    has that place. A recording outside of ``root`` keeps its whole path.

    Parameters
    ----------
    root
        The folder that the recordings lie in, absolute.
    owners
        The places that are taken and the real paths of the recordings that took them, as `key_of` gives them.

    Examples
    --------
    >>> places = Places("/data")
    >>> places.take("/data/site1/a.wav", "/data/site1/a.wav"), places.take("/data/site1/a.flac", "/data/site1/a.flac")
    ('site1/a', 'site1/a.flac')
    """

    def __init__(self, root: str, owners: CompactMap | None = None) -> None:
        self._root = root
        self.owners = owners or CompactMap()

    def choices(self, recording: str) -> tuple[str, str]:
        """Return the two places that a recording may get, the better one first."""
        absolute = os.path.abspath(recording)
        root = self._root.rstrip("/") + "/"
        below = absolute[len(root) :] if absolute.startswith(root) else absolute.lstrip("/")
        return _short(os.path.splitext(below)[0]), _short(below)

    def take(self, recording: str, path: str) -> str:
        """Give a recording its place; ``path`` is its real path."""
        choices, owner = self.choices(recording), key_of(path)
        for place in (*choices, f"{choices[1]}~{_digest(path)}"):
            key = key_of(place)
            found = self.owners.get(key)
            if found is None:
                self.owners.set(key, owner)
            if found in (None, owner):
                return place
        raise AssertionError("two real paths with one digest")

    def give_back(self, place: str) -> None:
        """Let others have the place of a recording that failed after all."""
        self.owners.drop(key_of(place))


def common_folder(recordings: Iterable[str]) -> Path:
    """Return the deepest folder with all recordings, as an absolute path; the working folder if there are none."""
    parents = {os.path.dirname(os.path.abspath(recording)) for recording in recordings}
    return Path(os.path.commonpath(parents)) if parents else Path.cwd()


def _short(place: str) -> str:
    """Shorten a name so that a format's ending fits; the rest is replaced by its digest."""
    folder, name = os.path.split(place)
    most = LONGEST_NAME - _LONGEST_ENDING
    encoded = os.fsencode(name)
    if len(encoded) <= most:
        return place
    kept = encoded[: most - 9]
    while kept and encoded[len(kept)] & 0xC0 == 0x80:  # not within a UTF-8 character
        kept = kept[:-1]
    return os.path.join(folder, f"{os.fsdecode(kept)}~{_digest(name)}")


def _digest(text: str) -> str:
    return hashlib.blake2b(os.fsencode(text), digest_size=4).hexdigest()
