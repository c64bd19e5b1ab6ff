"""A table of annotations as somebody's script or spreadsheet wrote it, with its columns named to us."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ecotf.datasets.importers.sources import AudioFolder, on_real_clock, to_numbers
from ecotf.datasets.manifest import COLUMNS, Manifest, make_manifest
from ecotf.datasets.text import FIRST_ROW, read_table
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_TIMES = ("start_s", "end_s")
_FREQUENCIES = ("low_hz", "high_hz")


def import_csv_table(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    separator: str = ",",
    decimal: Literal[".", ","] = ".",
    time_unit: Literal["s", "ms"] = "s",
    frequency_unit: Literal["Hz", "kHz"] = "Hz",
    time_expansion: float | None = None,
) -> Manifest:
    """Read a CSV of annotations.

    Parameters
    ----------
    path
        The table, with a header line.
    audio_dir
        Folder of the recordings; by default that of the table.
    columns
        Which column holds what, as ``{"recording": "path", "label": "species"}``; the keys are those of the manifest.
        Columns that already have the manifest's name need no entry; all others are kept as they are.
    separator, decimal
        How cells and decimals are written (a European spreadsheet: ``";"`` and ``","``).
    time_unit, frequency_unit
        The units of the table.
    time_expansion
        How many times slower than life the recordings play, where the times and frequencies are read off slowed-down
        recordings; they are put right by it.

    Raises
    ------
    DataError
        A column that is not there, a unit that is not known, a cell that is not a number, and all that
        :func:`ecotf.datasets.make_manifest` refuses; file and row are named.
    """
    path = Path(path)
    _check_choice(path, "decimal", decimal, (".", ","))
    _check_choice(path, "time_unit", time_unit, ("s", "ms"))
    _check_choice(path, "frequency_unit", frequency_unit, ("Hz", "kHz"))
    source = read_table(path, separator)
    table = _named_as_ours(source, dict(columns or {}), path)
    for name in (*_TIMES, *_FREQUENCIES):
        if name not in table.columns:
            continue
        text = table[name].str.replace(",", ".") if decimal == "," else table[name]
        table[name] = to_numbers(text, str(path), FIRST_ROW)
        if name in _TIMES and time_unit == "ms":
            table[name] /= 1000
        if name in _FREQUENCIES and frequency_unit == "kHz":
            table[name] *= 1000
    if all(name in table.columns for name in _TIMES):  # else make_manifest names the one that is missing
        table = on_real_clock(table, time_expansion, str(path))
    audio = AudioFolder(audio_dir if audio_dir is not None else path.parent)
    if "recording" in table.columns:
        found = {name: audio.find(name) if name else "" for name in table["recording"].unique()}
        table["recording"] = table["recording"].map(found)
    return make_manifest(table, audio.folder, str(path), FIRST_ROW)


def _named_as_ours(source: pd.DataFrame, columns: dict[str, str], path: Path) -> pd.DataFrame:
    import pandas as pd

    for ours, theirs in columns.items():
        if ours not in COLUMNS and ours != "time_expansion":
            raise DataError(f"{path}: columns names {ours!r}; allowed are {', '.join(COLUMNS)} and time_expansion")
        if theirs not in source.columns:
            raise DataError(f"{path}: column {theirs!r} (for {ours}) is missing; found are {', '.join(source.columns)}")
    named = {ours: source[theirs] for ours, theirs in columns.items()}
    others = {name: source[name] for name in source.columns if name not in named and name not in columns.values()}
    return pd.DataFrame({**named, **others})


def _check_choice(path: Path, option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise DataError(f"{path}: {option} is {value!r}; allowed are {' and '.join(map(repr, allowed))}")
