"""Raven selection tables: tab-separated, one row per selection and view."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.audio.recording import open_recording
from ecotf.datasets.against_audio import END_TOLERANCE_S
from ecotf.datasets.importers.sources import (
    AudioFolder,
    annotation_files,
    beside,
    fill_labels,
    joined,
    on_real_clock,
    one_of_each,
    row_number,
    scores_of,
)
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.numbers import to_numbers
from ecotf.datasets.tables import FIRST_ROW, read_table
from ecotf.datasets.text import from_one_line
from ecotf.errors import DataError, RecordingError

if TYPE_CHECKING:
    import pandas as pd

LABEL_COLUMNS = ("Annotation", "Species", "Label", "Common Name")
_BEGIN, _END, _OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
_LOW, _HIGH = "Low Freq (Hz)", "High Freq (Hz)"
_SAID = {"score": "Score", "detection_score": "Detection Score", "channel": "Channel", "time": "Date Time"}
# night1.Table.1.selections.txt, night1.BirdNET.selection.table.txt -> night1
_TABLE_ENDING = re.compile(r"(\.table\.\d+)?(\.\w+)?\.selections?(\.table)?\.txt$|\.txt$", re.IGNORECASE)


def import_raven(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    label_column: str | None = None,
    label: str | None = None,
    time_expansion: float | None = None,
    encoding: str | None = None,
) -> Manifest:
    """Read one selection table, or a folder of them.

    Parameters
    ----------
    path
        A ``.txt`` selection table or a folder of them.
    audio_dir
        Folder of the recordings; by default that of the tables.
    label_column
        Column that names the selections; by default the one there is of :data:`LABEL_COLUMNS`.
    label
        Name for selections without one.
    time_expansion
        How many times slower than life the recordings play in Raven; times and frequencies are put right by it.
    encoding
        How the tables were saved, where not as UTF-8 or UTF-16, for example ``windows-1252``.

    Raises
    ------
    DataError
        A missing column, two that could hold the labels, a cell that is not a number, a selection without a label, or
        times that run on over several sound files; file and row are named.

    Notes
    -----
    A selection that Raven lists once per view (waveform, spectrogram) counts once. In a table over several sound files
    ``File Offset (s)`` gives the time within the file. The recording comes from ``Begin Path`` or ``Begin File``, else
    from the name of the table. A table without rows is a recording without annotations.
    """
    files = annotation_files(path, (".txt",))
    audio = AudioFolder(audio_dir if audio_dir is not None else files[0].parent if Path(path).is_file() else path)
    tables = []
    for file in files:
        own_recording = beside(file, path, _TABLE_ENDING.sub("", file.name))
        table = _read_selections(read_table(file, "\t", quoted=False, encoding=encoding), file, audio, own_recording,
                                 label_column, label)  # fmt: skip
        tables.append((file, on_real_clock(table, time_expansion, str(file))))
    return joined(tables, audio.folder, path)


def _read_selections(
    raven: pd.DataFrame, file: Path, audio: AudioFolder, own_recording: str, label_column: str | None, label: str | None
) -> pd.DataFrame:
    import pandas as pd

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
    recordings = _recordings_of(raven, audio, own_recording)
    offset = numbers.get(_OFFSET)
    if offset is None or offset.isna().all():
        _require_one_file(raven, recordings, end, file, audio, own_recording)
        start = begin
    else:
        _require_offsets(raven, offset, file)
        start = offset
    table = pd.DataFrame({"recording": recordings, "start_s": start, "end_s": start + (end - begin)})
    if _LOW in numbers and _HIGH in numbers:
        table["low_hz"], table["high_hz"] = numbers[_LOW], numbers[_HIGH]
    labels = _labels(raven, file, label_column, label)
    if _SAID["detection_score"] in raven.columns:  # ecotf wrote it
        labels = labels.map(from_one_line)
    table["label"] = fill_labels(labels, label, str(file), FIRST_ROW)
    return table.join(scores_of(raven, _SAID, str(file)))


def _recordings_of(raven: pd.DataFrame, audio: AudioFolder, own_recording: str) -> pd.Series:
    import pandas as pd

    names = next((raven[name] for name in ("Begin Path", "Begin File") if name in raven.columns), None)
    if names is None:
        return pd.Series(audio.find(own_recording), index=raven.index)
    return names.map({name: audio.find(from_one_line(name) or own_recording) for name in names.unique()})


def _require_one_file(
    raven: pd.DataFrame, recordings: pd.Series, end: pd.Series, file: Path, audio: AudioFolder, own_recording: str
) -> None:
    """Without offsets times count from the first of the sound files that were open; they must all be of one."""
    if "Begin Path" not in raven.columns and "Begin File" not in raven.columns:
        return
    names = recordings.unique()
    why = f"its selections are in {len(names)} sound files" if len(names) > 1 else ""
    own = audio.folder / audio.find(own_recording)
    if not why and own.is_file() and audio.find(own_recording) != names[0]:
        why = f"it is the table of {own.name!r}, its selections are in {names[0]!r}"
    if not why:
        try:
            length = open_recording(audio.folder / names[0]).duration_s
        except RecordingError:
            return
        past = end > length + END_TOLERANCE_S
        if not past.any():
            return
        why = (
            f"the selection in row {row_number(past, FIRST_ROW)} ends at {end[past].iloc[0]:g} s, {names[0]!r} at "
            f"{length:g} s"
        )
    raise DataError(
        f"{file}: {why}, and the table does not say when in its file each begins; add the column {_OFFSET!r} in Raven "
        "(View, Measurements) and export the table again"
    )


def _require_offsets(raven: pd.DataFrame, offset: pd.Series, file: Path) -> None:
    if offset.isna().any():
        raise DataError(f"{file}: {_OFFSET} is empty (row {row_number(offset.isna(), FIRST_ROW)}); each row needs it")
    if "Begin File" in raven.columns and "End File" in raven.columns:
        across = (raven["Begin File"] != raven["End File"]) & (raven["End File"].str.strip() != "")
        if across.any():
            raise DataError(
                f"{file}: the selection in row {row_number(across, FIRST_ROW)} begins in one file and ends in another, "
                f"{raven['End File'][across].iloc[0]!r}; make one of each part"
            )


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
    if label and not label_column and not any(name.lower() in map(str.lower, candidates) for name in raven.columns):
        return pd.Series("", index=raven.index)
    return one_of_each(raven, candidates, "label_column", str(file))
