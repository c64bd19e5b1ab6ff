"""Darksound (Poutaraud 2023): regions of interest of nocturnal birds, one folder a species, split by species.

Folders: ``<split>/<family>/<species>/*.wav``; the split is train, val or test.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ecotf.audio.discover import SOUND_EXTENSIONS
from ecotf.datasets.importers.sources import annotation_files
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import DataError

SPLITS = {"train": "train", "val": "valid", "valid": "valid", "validation": "valid", "test": "test"}
_XENO_CANTO = re.compile(r"(?<![A-Za-z0-9])XC[ _-]?(\d{2,})(?!\d)", re.IGNORECASE)


def import_darksound(path: str | Path, audio_dir: str | Path | None = None) -> Manifest:
    """Read a folder that is laid out as Darksound is.

    Parameters
    ----------
    path
        Folder of ``train``, ``val`` and ``test``, of which one is enough. The folder of the family may be absent.
    audio_dir
        Not needed; the audio is under ``path``.

    Returns
    -------
    Manifest
        The label is the species, for the whole of each file. ``group`` is the recording that a file was cut from, where
        its name has a Xeno-canto number (``XC123456_03.wav``), else the file. The column ``family`` names the family.

    Raises
    ------
    DataError
        No such folder, no recordings, a first folder that is no split, or a species in two splits.
    """

    import pandas as pd

    root = Path(path)
    rows: list[tuple[str, str, str, str, str]] = []
    notes: list[str] = []
    spelled: dict[str, tuple[str, str]] = {}
    for file in annotation_files(root, SOUND_EXTENSIONS):
        parts = file.relative_to(root).parts if root.is_dir() else ()
        if not parts or parts[0].lower() not in SPLITS:
            expected = f"{root}/train/FAMILY/SPECIES/{file.name}"
            raise DataError(f"{file}: lies in no split; expected {expected}; splits are train, val, test")
        if len(parts) < 3:
            notes.append(f"left out: {Path(*parts).as_posix()}: lies in no folder of a species")
            continue
        split, species = SPLITS[parts[0].lower()], parts[-2].strip()
        first = spelled.setdefault(_plain(species), (species, split))
        if first[1] != split:
            also = f" (there {first[0]!r})" if first[0] != species else ""
            raise DataError(
                f"{root}: species {species!r} is in {split} and in {first[1]}{also}; the splits are by species, so "
                "move its recordings into one of them"
            )
        number = _XENO_CANTO.search(file.name)
        recording = Path(*parts).as_posix()
        family = parts[-3] if len(parts) > 3 else ""
        rows.append((recording, first[0], f"XC{number[1]}" if number else recording, split, family))
    if not rows:
        raise DataError(f"{root}: no recording lies in a folder of a species; expected {root}/train/FAMILY/SPECIES/")
    table = pd.DataFrame(rows, columns=["recording", "label", "group", "split", "family"])
    made = make_manifest(table.assign(start_s=0.0, end_s=np.nan), root, str(root))
    notes += [
        f"{folder.relative_to(root).as_posix()} has no recordings" for folder in _empty_folders(root)
    ]  # fmt: skip
    return Manifest(made.table, made.root, tuple(notes))


def _plain(species: str) -> str:
    """A name in lower case, with spaces for what people put between words."""
    return re.sub(r"[\s_.-]+", " ", species).strip().lower()


def _empty_folders(root: Path) -> list[Path]:
    """Folders in which nothing lies, not even a folder."""
    folders = (one for one in root.rglob("*") if one.is_dir() and not one.name.startswith("."))
    return sorted(one for one in folders if not any(not inside.name.startswith(".") for inside in one.iterdir()))
