"""Kaleidoscope's ``id.csv`` and ``meta.csv``: one row per detection, named by the program and perhaps by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.datasets.importers.sources import AudioFolder, annotation_files, fill_labels, joined, on_real_clock
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.numbers import to_numbers
from ecotf.datasets.tables import FIRST_ROW, read_table
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_FILE, _AUTO, _MANUAL = "IN FILE", "AUTO ID", "MANUAL ID"


def import_kaleidoscope(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    label: str | None = None,
    time_expansion: float | None = None,
    encoding: str | None = None,
) -> Manifest:
    """Read one ``id.csv`` or ``meta.csv``, or a folder that holds one such table (or one in each subfolder).

    Parameters
    ----------
    path
        The table, or a folder.
    audio_dir
        Folder of the recordings; by default that of the tables.
    label
        Name for rows without one.
    time_expansion
        How many times slower than life the recordings play, where OFFSET and DURATION are of slowed-down time.
    encoding
        How the tables were saved, where not as UTF-8 or UTF-16, for example ``windows-1252``.

    Raises
    ------
    DataError
        A missing column, a row without a name, a cell that is not a number, or two tables of one folder; file and row
        are named.

    Notes
    -----
    The label is MANUAL ID where there is one, else AUTO ID; several names in one cell, with commas or semicolons
    between, are one annotation each. ``NoID`` and ``Noise`` stay as they are: what they mean a recipe says (a bat of
    unknown species, no bat). CHANNEL counts from 0 there and from 1 here. Without OFFSET and DURATION a name holds for
    the whole recording.
    """
    files = annotation_files(path, (".csv",))
    folders = [file.parent for file in files]
    for file in files:
        if folders.count(file.parent) > 1:
            others = ", ".join(one.name for one in files if one.parent == file.parent)
            raise DataError(f"{file.parent}: {others} describe the same recordings; name one of the files")
    audio = AudioFolder(audio_dir if audio_dir is not None else files[0].parent if Path(path).is_file() else path)
    tables = []
    for file in files:
        table = _read(read_table(file, encoding=encoding), file, audio, label)
        tables.append((file, on_real_clock(table, time_expansion, str(file))))
    return joined(tables, audio.folder, path)


def _read(source: pd.DataFrame, file: Path, audio: AudioFolder, label: str | None) -> pd.DataFrame:
    import pandas as pd

    source = source.rename(columns=lambda name: name.rstrip("* ").upper())
    if _FILE not in source.columns or not {_AUTO, _MANUAL} & set(source.columns):
        raise DataError(
            f"{file}: Kaleidoscope's id.csv or meta.csv has the columns {_FILE} and {_AUTO} or {_MANUAL}; found are "
            f"{', '.join(source.columns)}"
        )
    if ("OFFSET" in source.columns) != ("DURATION" in source.columns):
        raise DataError(f"{file}: columns OFFSET and DURATION are needed together; one is missing")
    labels = source[_AUTO] if _AUTO in source.columns else pd.Series("", index=source.index)
    if _MANUAL in source.columns:
        labels = source[_MANUAL].where(source[_MANUAL].str.strip() != "", labels)
    labels = fill_labels(labels, label, str(file), FIRST_ROW)
    table = pd.DataFrame({"recording": _recordings(source, audio), "label": labels})
    if "OFFSET" in source.columns:
        start, length = (to_numbers(source[name], str(file), FIRST_ROW) for name in ("OFFSET", "DURATION"))
        table["start_s"], table["end_s"] = start, start + length
    else:
        table["start_s"], table["end_s"] = 0.0, float("nan")
    if "CHANNEL" in source.columns:
        table["channel"] = (to_numbers(source["CHANNEL"], str(file), FIRST_ROW) + 1).astype("Int64")
    names = [[name.strip() for name in re.split("[,;]", cell) if name.strip()] for cell in table["label"]]
    return table.assign(label=pd.Series(names, index=table.index, dtype=object)).explode("label")


def _recordings(source: pd.DataFrame, audio: AudioFolder) -> pd.Series:
    """The recordings, found by the longest part of ``INDIR\\FOLDER\\IN FILE`` that fits."""
    import pandas as pd

    parts = [source[name] for name in ("INDIR", "FOLDER", _FILE) if name in source.columns]
    found: dict[tuple[str, ...], str] = {}
    recordings = []
    for cells in zip(*parts, strict=True):
        if cells not in found:
            recording = audio.find("/".join(cell for cell in cells if cell.strip()))
            # What is not there is named as it would lie in the folder of the recordings, not on another computer.
            known = (audio.folder / recording).is_file()
            found[cells] = recording if known else audio.find("/".join(cell for cell in cells[-2:] if cell.strip()))
        recordings.append(found[cells])
    return pd.Series(recordings, index=source.index)
