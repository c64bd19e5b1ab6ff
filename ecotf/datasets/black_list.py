"""Recordings that are not to be learned from, named in a text file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from ecotf.datasets.manifest import Manifest
from ecotf.datasets.text import lines_of, read_text
from ecotf.errors import DataError


def read_black_list(path: str | Path) -> tuple[str, ...]:
    """Read the names of a black list: one a line; empty lines, and what follows a ``#`` and a space, are left out.

    Raises
    ------
    DataError
        The file cannot be read, or names nothing.
    """
    names = [line.split("# ")[0].strip() for line in lines_of(read_text(path))]
    names = [name for name in names if name and name != "#"]
    if not names:
        raise DataError(f"{path}: names nothing; a black list has one name of a recording on each line")
    return tuple(dict.fromkeys(names))


def black_listed(manifest: Manifest, names: Collection[str]) -> tuple[list[str], list[str]]:
    """Find the recordings of a manifest that are named, and not put into validation or test by it.

    Parameters
    ----------
    names
        Each a recording as the manifest writes it, the name of its file, or that without its ending; of a row of an
        HDF5 file (``clips.h5#Yabc.wav``) the name of the row. Names are AudioSet's with or without the ``Y``.

    Returns
    -------
    The recordings, and the names that are of no recording.

    Examples
    --------
    >>> black_listed(read_manifest("clips/manifest.csv"), ["Y-0Gj8-vB1q4.wav"])  # doctest: +SKIP
    (['audio/Y-0Gj8-vB1q4.wav'], [])
    """
    split = dict(zip(manifest.table["recording"], manifest.table["split"], strict=True))
    wanted, found, used = set(names), [], set()
    for recording in manifest.recordings:
        own = wanted & _names_of(recording)
        used |= own
        if own and split[recording] in ("", "train"):
            found.append(recording)
    return found, [name for name in names if name not in used]


def _names_of(recording: str) -> set[str]:
    path = PurePosixPath(recording.replace("\\", "/"))
    row = path.name.rpartition("#")[2]
    stem = PurePosixPath(row).stem
    names = {recording, path.name, row, stem}
    return names | ({stem[1:]} if len(stem) == 12 and stem.startswith("Y") else set())
