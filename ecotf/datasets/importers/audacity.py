"""Audacity label tracks: ``start <tab> end <tab> label``, and below it the band of a spectral selection.

The format: https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.importers.sources import AudioFolder, annotation_files, beside, fill_labels, joined, on_real_clock
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.numbers import number_in
from ecotf.datasets.text import from_one_line, lines_of, read_text
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_ENDING = re.compile(r"(\.labels)?\.txt$", re.IGNORECASE)
# What ecotf writes behind a label: [score 0.9123, call 0.9876, channel 2]
_OURS = re.compile(
    r"^(?P<label>.*) \[score (?P<score>\d[\d.]*)(?:, call (?P<detection_score>\d[\d.]*))?"
    r"(?:, channel (?P<channel>\d+))?\]$"
)


def import_audacity(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    recording: str | None = None,
    label: str | None = None,
    time_expansion: float | None = None,
    encoding: str | None = None,
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
    encoding
        How the labels were saved, where not as UTF-8 or UTF-16, for example ``windows-1252``.

    Raises
    ------
    DataError
        A line that is not a label, with its file and number.

    Notes
    -----
    An empty file is a recording without annotations. A point label starts and ends at the same time. A frequency of -1
    (Audacity's "undefined") becomes unknown. The scores that ecotf writes behind its labels become columns.
    """
    files = annotation_files(path, (".txt",))
    if recording is not None and len(files) != 1:
        raise DataError(f"{path}: option recording is for one label file, here are {len(files)}")
    audio = AudioFolder(audio_dir if audio_dir is not None else files[0].parent if Path(path).is_file() else path)
    tables = []
    for file in files:
        table = on_real_clock(_read_labels(file, label, encoding), time_expansion, str(file))
        name = recording or beside(file, path, _ENDING.sub("", file.name))
        tables.append((file, table.assign(recording=audio.find(name))))
    return joined(tables, audio.folder, path, 0)


def _read_labels(file: Path, label: str | None, encoding: str | None) -> pd.DataFrame:
    import pandas as pd

    rows: list[list[float | str]] = []
    lines = []
    for number, line in enumerate(lines_of(read_text(file, encoding)), start=1):
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
    said = table["label"].str.extract(_OURS)
    ours = said["score"].notna()
    table["label"] = said["label"].map(from_one_line, na_action="ignore").where(ours, table["label"])
    for name in ("score", "detection_score"):
        if said[name].notna().any():
            table[name] = said[name].astype("float64")
    if said["channel"].notna().any():
        table["channel"] = said["channel"].astype("Int64")
    return table.assign(label=fill_labels(table["label"], label, str(file), 0))


def _number(cell: str, file: Path, line: int) -> float:
    number = number_in(cell.strip())
    if number is None:
        raise DataError(f"{file}: line {line} has {cell!r} where a number (with a decimal point) is needed")
    return number
