"""A table of annotations as somebody's script or spreadsheet wrote it, with its columns named to us."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ecotf.datasets.importers.raven import LABEL_COLUMNS
from ecotf.datasets.importers.sources import AudioFolder, joined, on_real_clock, one_of_each, scores_of
from ecotf.datasets.manifest import COLUMNS, Manifest
from ecotf.datasets.numbers import to_numbers
from ecotf.datasets.tables import FIRST_ROW, read_table
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_TIMES = ("start_s", "end_s", "length_s")
_FREQUENCIES = ("low_hz", "high_hz")
_SAID = {name: name for name in ("score", "detection_score", "channel", "time")}
_ALLOWED = (*COLUMNS, "length_s", "time_expansion", *_SAID)


def import_csv_table(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    decimal: Literal[".", ","] = ".",
    time_unit: Literal["s", "ms", "h:mm:ss"] = "s",
    frequency_unit: Literal["Hz", "kHz"] = "Hz",
    time_expansion: float | None = None,
    encoding: str | None = None,
) -> Manifest:
    """Read a CSV of annotations.

    Parameters
    ----------
    path
        The table, with a header line.
    audio_dir
        Folder of the recordings; by default that of the table.
    columns
        Which column holds what, as ``{"recording": "path", "label": "species"}``; the keys are those of the manifest,
        and ``length_s`` for a table that has lengths in place of ends. Columns that already have the manifest's name
        need no entry; all others are kept as they are.
    separator, decimal
        How cells and decimals are written (a European spreadsheet: ``";"`` and ``","``). By default the separator is
        found in the header; decimals are never guessed.
    time_unit, frequency_unit
        The units of the table; ``h:mm:ss`` counts from the start of the recording.
    time_expansion
        How many times slower than life the recordings play, where the times and frequencies are read off slowed-down
        recordings; they are put right by it.
    encoding
        How the table was saved, where not as UTF-8 or UTF-16, for example ``windows-1252``.

    Raises
    ------
    DataError
        A column that is not there, two that could hold the labels, a unit that is not known, a cell that is not a
        number, and all that :func:`ecotf.datasets.make_manifest` refuses; file and row are named.
    """
    path = Path(path)
    _check_choice(path, "decimal", decimal, (".", ","))
    _check_choice(path, "time_unit", time_unit, ("s", "ms", "h:mm:ss"))
    _check_choice(path, "frequency_unit", frequency_unit, ("Hz", "kHz"))
    source = read_table(path, separator, encoding=encoding)
    table = _named_as_ours(source, dict(columns or {}), path)
    for name in (*_TIMES, *_FREQUENCIES):
        if name not in table.columns:
            continue
        table[name] = to_numbers(table[name], str(path), FIRST_ROW, decimal, name in _TIMES and time_unit == "h:mm:ss")
        if name in _TIMES and time_unit == "ms":
            table[name] /= 1000
        if name in _FREQUENCIES and frequency_unit == "kHz":
            table[name] *= 1000
    table = _with_ends(table, path)
    table = table.drop(columns=[name for name in _SAID if name in table.columns]).join(
        scores_of(table, _SAID, str(path))
    )
    if "start_s" in table.columns and "end_s" in table.columns:  # else make_manifest names the one that is missing
        table = on_real_clock(table, time_expansion, str(path))
    audio = AudioFolder(audio_dir if audio_dir is not None else path.parent)
    if "recording" in table.columns:
        found = {name: audio.find(name) if name else "" for name in table["recording"].unique()}
        table["recording"] = table["recording"].map(found)
    return joined([(path, table)], audio.folder, path)


def _with_ends(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Ends in place of lengths."""
    if "length_s" not in table.columns or "start_s" not in table.columns:
        return table
    if "end_s" in table.columns:
        raise DataError(f"{path}: there are both end_s and length_s; name one of them with columns.end_s or rename one")
    length = table["length_s"]
    if (length < 0).any():
        row = int(table.index[length < 0][0]) + FIRST_ROW
        raise DataError(f"{path}: length_s is {length[length < 0].iloc[0]:g} (row {row}); at least 0 s is needed")
    return table.assign(end_s=table["start_s"] + length).drop(columns="length_s")


def _named_as_ours(source: pd.DataFrame, columns: dict[str, str], path: Path) -> pd.DataFrame:
    import pandas as pd

    for ours, theirs in columns.items():
        if ours not in _ALLOWED:
            raise DataError(f"{path}: columns names {ours!r}; allowed are {', '.join(_ALLOWED)}")
        if theirs not in source.columns:
            raise DataError(f"{path}: column {theirs!r} (for {ours}) is missing; found are {', '.join(source.columns)}")
    named = {ours: source[theirs] for ours, theirs in columns.items()}
    if "label" not in named and "label" in source.columns:
        named["label"] = one_of_each(source, LABEL_COLUMNS, "columns.label=", str(path))
    others = {name: source[name] for name in source.columns if name not in named and name not in columns.values()}
    return pd.DataFrame({**named, **others})


def _check_choice(path: Path, option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise DataError(f"{path}: {option} is {value!r}; allowed are {' and '.join(map(repr, allowed))}")
