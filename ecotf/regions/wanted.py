"""The recordings that are to be cut: files, or those of a manifest, each once; equal files are found first."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ecotf.audio.hdf5_rows import split_row
from ecotf.datasets.manifest import Manifest
from ecotf.inference.outcome import Waiting
from ecotf.regions.labels import Annotation


class WantedCut(NamedTuple):
    """A recording, and what is known of it.

    Attributes
    ----------
    label
        Of regions that no annotation shares anything with; empty where it is not known.
    """

    waiting: Waiting
    label: str
    group: str
    split: str
    time_expansion: float | None
    annotations: tuple[Annotation, ...]


def wanted_files(labels: Mapping[Path, str], time_expansion: float | None) -> list[WantedCut]:
    """Take files with their labels; a file that is reached in several ways comes once, and is its own group."""
    found: dict[str, WantedCut] = {}
    for file, label in labels.items():
        one = Waiting.of(str(file))
        found.setdefault(one.path, WantedCut(one, label, one.name, "", time_expansion, ()))
    return list(found.values())


def wanted_of_manifest(manifest: Manifest, time_expansion: float | None) -> list[WantedCut]:
    """Take the recordings of a manifest.

    A recording of one label has that label everywhere; of several labels, only what an annotation shares something with
    has its label. Groups and sides of the split are the manifest's.
    """
    found: dict[str, WantedCut] = {}
    for name, rows in manifest.table.groupby("recording", sort=False):
        path = manifest.path_of(str(name))
        file = str(path)
        waiting = Waiting.of(file)._replace(name=Waiting.of(str(name)).name)
        annotations = tuple(
            Annotation(*row)
            for row in rows[["start_s", "end_s", "low_hz", "high_hz", "label"]].itertuples(index=False, name=None)
            if row[-1]
        )
        labels = sorted({one.label for one in annotations})
        stated = manifest.time_expansion_of(str(name))
        first = rows.iloc[0]
        found.setdefault(
            waiting.path,
            WantedCut(
                waiting,
                labels[0] if len(labels) == 1 else "",
                str(first["group"]),
                str(first["split"]),
                time_expansion if stated is None else stated,
                annotations,
            ),
        )
    return list(found.values())


def copies_among(paths: Iterable[str], known: Sequence[str] = ()) -> dict[str, str]:
    """Find files that hold the same bytes: copy to the first of them.

    Only files of one size are read. Rows of HDF5 files, and files that are not there, are no copies.

    Parameters
    ----------
    known
        Paths that come first.
    """
    by_size: dict[int, list[str]] = {}
    for path in dict.fromkeys([*known, *paths]):
        if split_row(path) is None and os.path.isfile(path):
            by_size.setdefault(os.path.getsize(path), []).append(path)
    copies: dict[str, str] = {}
    for size, alike in by_size.items():
        first: dict[bytes, str] = {}
        for path in alike if len(alike) > 1 and size else ():
            digest = _digest(path)
            if digest is not None and first.setdefault(digest, path) != path:
                copies[path] = first[digest]
    return copies


def _digest(path: str) -> bytes | None:
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb") as opened:
            for chunk in iter(lambda: opened.read(1 << 20), b""):
                digest.update(chunk)
    except OSError:
        return None
    return digest.digest()
