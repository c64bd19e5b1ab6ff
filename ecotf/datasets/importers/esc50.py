"""ESC-50 (Piczak, ACM Multimedia 2015): 2,000 clips of 5 s in 50 classes, with its five official folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecotf.datasets.importers.sources import AudioFolder
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.datasets.tables import FIRST_ROW, read_table
from ecotf.errors import DataError

_COLUMNS = ("filename", "fold", "category", "src_file")


def import_esc50(
    path: str | Path, audio_dir: str | Path | None = None, *, classes: Sequence[str] = (), esc10: bool = False
) -> Manifest:
    """Read ESC-50's table.

    Parameters
    ----------
    path
        ``esc50.csv``.
    audio_dir
        Folder of the clips; by default ``audio`` beside the table's folder, as published, else the table's folder.
    classes
        Only these categories, as ``dog``; by default all.
    esc10
        Only the ten classes of ESC-10.

    Returns
    -------
    Manifest
        One label a clip, for all of it. ``group`` is the recording that clips were cut from, and the column ``fold``
        holds the official fold: train with ``data.folds.test=[1]``, validation is drawn from the other folds.

    Raises
    ------
    DataError
        A column or a category that is not there, or a recording whose clips are in two folds.
    """
    path = Path(path)
    table = read_table(path)
    for name in (*_COLUMNS, *(["esc10"] if esc10 else [])):
        if name not in table:
            raise DataError(f"{path}: column {name!r} is missing; found are {', '.join(table.columns)}")
    for name in classes:
        if name not in set(table["category"]):
            known = ", ".join(sorted(set(table["category"])))
            raise DataError(f"{path}: no clip is of the category {name!r}; the categories are {known}")
    table = table[table["category"].isin(classes)] if classes else table
    table = table[table["esc10"].str.lower() == "true"] if esc10 else table
    folds = table.groupby("src_file")["fold"].unique()
    cut = folds[folds.map(len) > 1]
    if len(cut):
        raise DataError(
            f"{path}: clips of {cut.index[0]!r} are in the folds {' and '.join(cut.iloc[0])}; one is allowed"
        )
    published = path.parent.parent / "audio"
    audio = AudioFolder(audio_dir or (published if published.is_dir() else path.parent))
    made = table[["fold"]].assign(
        recording=[audio.find(name) for name in table["filename"]],
        start_s=0.0, end_s=np.nan, label=table["category"], group=table["src_file"],
    )  # fmt: skip
    return make_manifest(made, audio.folder, str(path), FIRST_ROW)
