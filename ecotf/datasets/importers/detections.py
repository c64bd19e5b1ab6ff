"""Detections that come back as annotations: the tables that ecotf writes and no other format covers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.datasets.importers.sources import AudioFolder, annotation_files, beside, joined, scores_of
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.numbers import to_numbers
from ecotf.datasets.tables import FIRST_ROW, read_table
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_SCENE = "-sceneRect.csv"


def import_parquet(path: str | Path, audio_dir: str | Path | None = None) -> Manifest:
    """Read a Parquet table with the columns of a manifest or of detections (``recording, start_s, end_s, label, ...``).

    Parameters
    ----------
    path
        The table.
    audio_dir
        Folder of the recordings; by default that of the table.

    Raises
    ------
    DataError
        Not a Parquet file, a missing column, or a label that is missing.
    """
    import pandas as pd

    path = Path(path)
    try:
        table = pd.read_parquet(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or 'not a Parquet file'})") from None
    except ValueError as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    for name in ("recording", "label"):
        if name in table.columns and table[name].isna().any():
            row = int(table.index[table[name].isna()][0]) + 1
            raise DataError(f"{path}: {name} is missing (row {row}); where there is nothing, a label is empty text")
    audio = AudioFolder(audio_dir if audio_dir is not None else path.parent)
    if "recording" in table.columns:
        table["recording"] = _found(table["recording"].astype("str"), audio)
    return joined([(path, table)], audio.folder, path, 1)


def import_published_csv(
    path: str | Path, audio_dir: str | Path | None = None, *, call_duration_s: float = 0.0
) -> Manifest:
    """Read the published bat system's ``classification_result.csv``.

    Parameters
    ----------
    path
        The table: ``file_name, predicted_time, predicted_species, predicted_prob``; times are real seconds.
    audio_dir
        Folder of the recordings; by default that of the table.
    call_duration_s
        The table has points; each annotation is given this length, in real seconds.

    Raises
    ------
    DataError
        A missing column, or a cell that is not a number.
    """
    import pandas as pd

    path = Path(path)
    source = read_table(path)
    _require(source, ("file_name", "predicted_time", "predicted_species"), path)
    start = to_numbers(source["predicted_time"], str(path), FIRST_ROW)
    audio = AudioFolder(audio_dir if audio_dir is not None else path.parent)
    table = pd.DataFrame({
        "recording": _found(source["file_name"], audio),
        "start_s": start,
        "end_s": start + call_duration_s,
        "label": source["predicted_species"],
    })  # fmt: skip
    return joined([(path, table.join(scores_of(source, {"score": "predicted_prob"}, str(path))))], audio.folder, path)


def import_audiotagger(path: str | Path, audio_dir: str | Path | None = None) -> Manifest:
    """Read AudioTagger's ``-sceneRect.csv``, or a folder of them, one per recording.

    Parameters
    ----------
    path
        A table, or a folder of them; ``night1-sceneRect.csv`` without rows is a recording without annotations.
    audio_dir
        Folder of the recordings; by default that of the tables.

    Raises
    ------
    DataError
        A missing column, or a cell that is not a number; file and row are named.

    Notes
    -----
    Heights of rectangles are in rows of AudioTagger's own spectrogram; frequencies are left unknown.
    """
    import pandas as pd

    files = [file for file in annotation_files(path, (".csv",)) if Path(path).is_file() or file.name.endswith(_SCENE)]
    if not files:
        raise DataError(f"{path}: the folder has no files of this kind (*{_SCENE})")
    audio = AudioFolder(audio_dir if audio_dir is not None else files[0].parent if Path(path).is_file() else path)
    tables = []
    for file in files:
        source = read_table(file)
        _require(source, ("Filename", "Label", "LabelStartTime_Seconds", "LabelEndTime_Seconds"), file)
        if source.empty:
            own = audio.find(beside(file, path, file.name.removesuffix(_SCENE)))
            table = pd.DataFrame({"recording": [own], "start_s": 0.0, "end_s": None, "label": [""]})
        else:
            names = source["Filename"].map(lambda name, file=file: beside(file, path, name))
            table = pd.DataFrame({"recording": _found(names, audio), "label": source["Label"]})
            for ours, theirs in (("start_s", "LabelStartTime_Seconds"), ("end_s", "LabelEndTime_Seconds")):
                table[ours] = to_numbers(source[theirs], str(file), FIRST_ROW)
            table = table.join(scores_of(source, {"score": "ClassifierConfidence"}, str(file)))
        tables.append((file, table))
    return joined(tables, audio.folder, path)


def _found(names: pd.Series, audio: AudioFolder) -> pd.Series:
    return names.map({name: audio.find(name) if name else "" for name in names.unique()})


def _require(source: pd.DataFrame, columns: tuple[str, ...], path: Path) -> None:
    for name in columns:
        if name not in source.columns:
            raise DataError(f"{path}: column {name!r} is missing; found are {', '.join(source.columns)}")
