"""Raven selection tables: tab-separated, one row per selection and view."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.datasets.importers.sources import (
    AudioFolder,
    annotation_files,
    beside,
    fill_labels,
    on_real_clock,
    row_number,
    to_numbers,
)
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.datasets.text import FIRST_ROW, read_table
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LABEL_COLUMNS = ("Annotation", "Species", "Label", "Common Name")
_BEGIN, _END, _OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
_LOW, _HIGH = "Low Freq (Hz)", "High Freq (Hz)"
# night1.Table.1.selections.txt, night1.BirdNET.selection.table.txt -> night1
_TABLE_ENDING = re.compile(r"(\.table\.\d+)?(\.\w+)?\.selections?(\.table)?\.txt$|\.txt$", re.IGNORECASE)


def import_raven(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    label_column: str | None = None,
    label: str | None = None,
    time_expansion: float | None = None,
) -> Manifest:
    """Read one selection table, or a folder of them.

    Parameters
    ----------
    path
        A ``.txt`` selection table or a folder of them.
    audio_dir
        Folder of the recordings; by default that of the tables.
    label_column
        Column that names the selections; by default the first there is of :data:`LABEL_COLUMNS`.
    label
        Name for selections without one.
    time_expansion
        How many times slower than life the recordings play in Raven; times and frequencies are put right by it.

    Raises
    ------
    DataError
        A missing column, a cell that is not a number, a selection without a label; file and row are named.

    Notes
    -----
    A selection that Raven lists once per view (waveform, spectrogram) counts once. In a table over several sound files
    ``File Offset (s)`` gives the time within the file. The recording comes from ``Begin Path`` or ``Begin File``, else
    from the name of the table. A table without rows is a recording without annotations.
    """

    import pandas as pd

    files = annotation_files(path, (".txt",))
    audio = AudioFolder(audio_dir if audio_dir is not None else files[0].parent if Path(path).is_file() else path)
    tables = [
        on_real_clock(
            _read_selections(file, audio, beside(file, path, _TABLE_ENDING.sub("", file.name)), label_column, label),
            time_expansion,
            str(file),
        )
        for file in files
    ]
    return make_manifest(pd.concat(tables, ignore_index=True), audio.folder, str(path))


def _read_selections(
    file: Path, audio: AudioFolder, own_recording: str, label_column: str | None, label: str | None
) -> pd.DataFrame:
    import pandas as pd

    raven = read_table(file, separator="\t")
    for name in (_BEGIN, _END):
        if name not in raven.columns:
            raise DataError(f"{file}: column {name!r} is missing; a Raven selection table separated by tabs is needed")
    if raven.empty:
        return pd.DataFrame({"recording": [audio.find(own_recording)], "start_s": 0.0, "end_s": None, "label": [""]})
    raven = _one_row_per_selection(raven)

    numbers = {
        name: to_numbers(raven[name], str(file), FIRST_ROW)
        for name in (_BEGIN, _END, _OFFSET, _LOW, _HIGH)
        if name in raven.columns
    }
    begin, end = numbers[_BEGIN], numbers[_END]
    wrong = ~((begin >= 0) & (end >= begin))
    if wrong.any():
        first, last = (times[wrong].iloc[0] for times in (begin, end))
        raise DataError(
            f"{file}: the selection in row {row_number(wrong, FIRST_ROW)} goes from {first:g} to {last:g} s; "
            "0 <= begin <= end is needed"
        )
    start = numbers[_OFFSET].fillna(begin) if _OFFSET in numbers else begin
    table = pd.DataFrame({"start_s": start, "end_s": start + (end - begin)})
    if _LOW in numbers and _HIGH in numbers:
        table["low_hz"], table["high_hz"] = numbers[_LOW], numbers[_HIGH]
    table["label"] = fill_labels(_labels(raven, file, label_column, label), label, str(file), FIRST_ROW)
    names = next((raven[name] for name in ("Begin Path", "Begin File") if name in raven.columns), None)
    if names is None:
        return table.assign(recording=audio.find(own_recording))
    found = {name: audio.find(name or own_recording) for name in names.unique()}
    return table.assign(recording=names.map(found))


def _one_row_per_selection(raven: pd.DataFrame) -> pd.DataFrame:
    if "View" not in raven.columns or "Selection" not in raven.columns:
        return raven
    same = [name for name in ("Selection", _BEGIN, _END, "Begin Path", "Begin File") if name in raven.columns]
    # The spectrogram's row is the one with the band that was drawn.
    by_view = raven["View"].str.contains("spectrogram", case=False).sort_values(ascending=False, kind="stable")
    return raven.loc[by_view.index].drop_duplicates(same).sort_index()


def _labels(raven: pd.DataFrame, file: Path, label_column: str | None, label: str | None) -> pd.Series:
    import pandas as pd

    candidates = [label_column] if label_column else LABEL_COLUMNS
    for name in candidates:
        if name in raven.columns:
            return raven[name]
    if label and not label_column:
        return pd.Series("", index=raven.index)
    raise DataError(
        f"{file}: there is no column {' or '.join(map(repr, candidates))} with the labels; found are "
        f"{', '.join(raven.columns)}; name yours with the option label_column"
    )
