"""Audacity label tracks: ``start <tab> end <tab> label``, and below it the band of a spectral selection.

The format: https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.importers.sources import AudioFolder, annotation_files, beside, fill_labels, on_real_clock
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.datasets.text import read_text
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def import_audacity(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    recording: str | None = None,
    label: str | None = None,
    time_expansion: float | None = None,
) -> Manifest:
    """Read one label file, or a folder of them, one per recording.

    Parameters
    ----------
    path
        A ``.txt`` file or a folder of them; ``night1.txt`` belongs to the recording ``night1`` (in
        subfolders: of the same subfolder, if there are several).
    audio_dir
        Folder of the recordings; by default that of the label files.
    recording
        The recording, where a single label file is named otherwise.
    label
        Name for labels without text.
    time_expansion
        How many times slower than life the recordings play in Audacity; times and frequencies are put right by it.

    Raises
    ------
    DataError
        A line that is not a label, with its file and number.

    Notes
    -----
    An empty file is a recording without annotations. A point label starts and ends at the same time. A frequency of -1
    (Audacity's "undefined") becomes unknown.
    """

    import pandas as pd

    files = annotation_files(path, (".txt",))
    if recording is not None and len(files) != 1:
        raise DataError(f"{path}: option recording is for one label file, here are {len(files)}")
    audio = AudioFolder(audio_dir if audio_dir is not None else files[0].parent if Path(path).is_file() else path)
    tables = []
    for file in files:
        table = on_real_clock(_read_labels(file, label), time_expansion, str(file))
        tables.append(table.assign(recording=audio.find(recording or beside(file, path, file.stem))))
    return make_manifest(pd.concat(tables, ignore_index=True), audio.folder, str(path))


def _read_labels(file: Path, label: str | None) -> pd.DataFrame:
    import pandas as pd

    rows: list[list[float | str]] = []
    lines = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        cells = line.split("\t")
        if cells[0] == "\\":
            if not rows or len(cells) < 3:
                raise DataError(f"{file}: line {number} is {line!r}; a band is \\, low and high hertz, below its label")
            bands = [_number(cell, file, number) for cell in cells[1:3]]
            rows[-1][2:4] = [band if band >= 0 else np.nan for band in bands]
            continue
        if len(cells) < 2:
            raise DataError(f"{file}: line {number} is {line!r}; a label is start, end and text with tabs between")
        start, end = (_number(cell, file, number) for cell in cells[:2])
        if not 0 <= start <= end:
            raise DataError(f"{file}: line {number} goes from {start:g} to {end:g} s; 0 <= start <= end is needed")
        rows.append([start, end, np.nan, np.nan, " ".join(cells[2:]).strip()])
        lines.append(number)
    if not rows:
        return pd.DataFrame({"start_s": [0.0], "end_s": [np.nan], "label": [""]})
    table = pd.DataFrame(rows, columns=["start_s", "end_s", "low_hz", "high_hz", "label"], index=lines)
    return table.assign(label=fill_labels(table["label"], label, str(file), 0))


def _number(cell: str, file: Path, line: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise DataError(f"{file}: line {line} has {cell!r} where a number (with a decimal point) is needed") from None
