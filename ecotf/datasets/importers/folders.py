"""One folder per class: every recording in ``Myotis/`` is a Myotis, all through (a weak label)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecotf.audio.discover import SOUND_EXTENSIONS
from ecotf.audio.recording import open_recording
from ecotf.datasets.importers.sources import annotation_files, checked_factor
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import DataError, RecordingError


def import_folders(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    background: Sequence[str] = (),
    time_expansion: float | None = None,
) -> Manifest:
    """Read a folder of class folders.

    Parameters
    ----------
    path
        Folder whose direct subfolders are named as the classes; recordings may lie deeper.
    audio_dir
        Not needed; the audio is under ``path``.
    background
        Class folders that hold recordings without any class; their label is empty.
    time_expansion
        How many times slower than life the recordings play, where their metadata do not say so.

    Raises
    ------
    DataError
        No such folder, no recordings in it, a recording outside of a class folder, or a background folder that is
        not there.

    Notes
    -----
    ``end_s`` is the real length of the recording, read from its header; it is empty where the recording cannot be
    opened (reading it will say why).
    """

    import pandas as pd

    root = Path(path)
    factor = None if time_expansion is None else checked_factor(time_expansion, str(root))
    for name in background:
        if not (root / name).is_dir():
            raise DataError(f"{root}: background folder {name!r} is not there")
    rows = []
    for file in annotation_files(root, SOUND_EXTENSIONS):
        parts = file.relative_to(root).parts if root.is_dir() else ()
        if len(parts) < 2:
            raise DataError(f"{file}: lies outside of a class folder; expected {root}/CLASS/{file.name}")
        label = "" if parts[0] in background else parts[0]
        rows.append((Path(*parts).as_posix(), 0.0, _length(file, factor), label))
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"])
    if factor is not None:
        table["time_expansion"] = factor
    return make_manifest(table, root, str(root))


def _length(file: Path, time_expansion: float | None) -> float:
    try:
        return open_recording(file, time_expansion=time_expansion).duration_s
    except RecordingError:
        return np.nan
