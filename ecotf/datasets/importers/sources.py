"""Functions that all importers share: find the files, convert times to real time, name events without a name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ecotf.audio.discover import SOUND_EXTENSIONS
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.datasets.numbers import to_numbers
from ecotf.datasets.tables import FIRST_ROW
from ecotf.datasets.text import read_text
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


class AudioFolder:
    """Finds recordings in a folder and its subfolders by the name that an annotation file gives them.

    Parameters
    ----------
    folder
        The folder that holds the audio; manifests made from it have it as their root.

    Raises
    ------
    DataError
        There is no such folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DataError(f"audio folder {str(folder)!r} is not there")
        self._by_name: dict[str, list[str]] = {}
        self._called: dict[str, str] = {}
        for path in files_in(self.folder, SOUND_EXTENSIONS):
            relative = path.relative_to(self.folder)
            for name in (relative.name, relative.stem):
                self._by_name.setdefault(name.lower(), []).append(relative.as_posix())

    def find(self, name: str) -> str:
        """Return the recording, relative to the folder, that ``name`` means.

        Parameters
        ----------
        name
            A file name or a path, from any system, with or without its ending, in any case. Of a path the longest
            part counts that fits, so a table made on another computer finds its recordings.

        Returns
        -------
        str
            Where nothing fits, the name itself (with ``.wav`` if it has no ending), so that the manifest says what
            is missing.

        Raises
        ------
        DataError
            Two recordings fit equally well, or two names with different folders come down to one recording.
        """
        wanted = PurePosixPath(name.replace("\\", "/"))
        candidates = self._by_name.get(wanted.name.lower(), [])
        for depth in range(len(wanted.parts), 0, -1):
            ending = tuple(part.lower() for part in wanted.parts[-depth:])
            fitting = [path for path in candidates if _fits(path, ending)]
            exact = [path for path in fitting if len(PurePosixPath(path).parts) == depth]
            fitting = exact or fitting
            if len(fitting) == 1:
                return self._only_called(fitting[0], name)
            if fitting:
                raise DataError(
                    f"recording {name!r} could be {fitting[0]!r} or {fitting[1]!r} in {self.folder}; "
                    "name it with its folder"
                )
        return str(wanted) if wanted.suffix.lower() in SOUND_EXTENSIONS else f"{wanted}.wav"

    def _only_called(self, recording: str, name: str) -> str:
        before = self._called.setdefault(recording, name)
        one, other = (_without_ending(spelling).split("/")[::-1] for spelling in (before, name))
        if any(part != counterpart for part, counterpart in zip(one, other, strict=False)):
            raise DataError(f"{before!r} and {name!r} both lead to {recording!r}, the only one in {self.folder}")
        return recording


def _without_ending(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/").lower())
    return str(path.with_suffix("") if path.suffix in SOUND_EXTENSIONS else path)


def _fits(path: str, ending: tuple[str, ...]) -> bool:
    parts = PurePosixPath(path.lower()).parts[-len(ending) :]
    return parts[:-1] == ending[:-1] and len(parts) == len(ending)


def annotation_files(path: str | Path, endings: Sequence[str]) -> list[Path]:
    """Return the annotation file itself, or all files with these endings in a folder, sorted.

    Raises
    ------
    DataError
        There is no such file or folder, or the folder has no such file.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder")
    found = files_in(path, endings)
    if not found:
        raise DataError(f"{path}: the folder has no files of this kind ({', '.join(endings)})")
    return found


def read_json(file: Path, kind: str) -> Any:
    """Return the content of a JSON file; raises `DataError` where it is none. ``kind`` is named in messages."""
    text = read_text(file)
    if not text.strip():
        raise DataError(f"{file}: the file is empty; {kind} is needed")
    try:
        return json.loads(text)
    except RecursionError:
        raise DataError(f"{file}: not {kind} (it is nested too deeply)") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{file}: not valid JSON at line {error.lineno}: {error.msg}") from None


def beside(file: Path, path: str | Path, name: str) -> str:
    """``name`` with the subfolder that ``file`` has in ``path``: annotations often lie as their recordings do."""
    return (file.relative_to(path).parent / name).as_posix() if Path(path).is_dir() else name


def files_in(folder: Path, endings: Sequence[str]) -> list[Path]:
    """All files with these endings in a folder and its subfolders, sorted; hidden ones (``._night.wav``) are not."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in endings
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def on_real_clock(table: pd.DataFrame, time_expansion: float | None, source: str) -> pd.DataFrame:
    """Turn times and frequencies read off slowed-down recordings into real seconds and hertz.

    Parameters
    ----------
    time_expansion
        How many times slower than life the recordings play; ``None`` leaves everything as it is, and unstated.
    """
    if time_expansion is None:
        return table
    factor = checked_factor(time_expansion, source)
    table = table.copy()
    for name in ("start_s", "end_s"):
        table[name] = table[name] / factor
    for name in ("low_hz", "high_hz"):
        if name in table.columns:
            table[name] = table[name] * factor
    return table.assign(time_expansion=factor)


def checked_factor(time_expansion: float, source: str) -> float:
    """A time-expansion factor as a number above 0, or a DataError."""
    if isinstance(time_expansion, bool) or not isinstance(time_expansion, int | float) or not time_expansion > 0:
        raise DataError(f"{source}: time_expansion is {time_expansion!r}; a number above 0 is needed")
    return float(time_expansion)


def row_number(bad: pd.Series, first_row: int) -> int:
    """The row in the file of the first true one; the index counts from the row that has the number ``first_row``."""
    return int(bad.index[bad.to_numpy()].to_numpy()[0]) + first_row


def fill_labels(labels: pd.Series, label: str | None, source: str, first_row: int) -> pd.Series:
    """Labels with the empty ones named ``label``; without it an empty label is a DataError."""
    labels = labels.astype("str").str.strip()
    empty = labels == ""
    if empty.any() and not label:
        raise DataError(
            f"{source}: the annotation in row {row_number(empty, first_row)} has no label; "
            "write one, or give the option label=NAME for all that have none"
        )
    return labels.where(~empty, label)


def scores_of(source: pd.DataFrame, columns: Mapping[str, str], where: str) -> pd.DataFrame:
    """Read what detections say besides their label, where the table has it: the columns of a manifest, as numbers.

    Parameters
    ----------
    columns
        Ours to theirs, of ``score, detection_score, channel`` (numbers) and ``time``.
    """

    import pandas as pd

    found = {}
    for ours, theirs in columns.items():
        if theirs in source.columns and (source[theirs].str.strip() != "").any():
            if ours == "time":
                found[ours] = source[theirs].str.strip()
            else:
                found[ours] = to_numbers(source[theirs], where, FIRST_ROW)
    table = pd.DataFrame(found, index=source.index)
    return table.astype({"channel": "Int64"}) if "channel" in table else table


def one_of_each(source: pd.DataFrame, candidates: Sequence[str], option: str, where: str) -> pd.Series:
    """Return the one column of text that names the annotations, whatever the case of its name.

    Raises
    ------
    DataError
        There is none of them, or two say different things; ``option`` chooses.
    """
    wanted = [name.lower() for name in candidates]
    there = [name for name in source.columns if name.lower() in wanted]
    filled = [name for name in there if (source[name].str.strip() != "").any()]
    chosen = filled[:1] or there[:1]
    if not chosen:
        raise DataError(
            f"{where}: there is no column {' or '.join(map(repr, candidates))} with the labels; found are "
            f"{', '.join(source.columns)}; name yours with the option {option}"
        )
    for other in filled[1:]:
        if (source[other].str.strip() != source[chosen[0]].str.strip()).any():
            raise DataError(
                f"{where}: columns {chosen[0]!r} and {other!r} could both hold the labels, and they differ; choose one "
                f"with the option {option}"
            )
    return source[chosen[0]]


def joined(
    tables: Sequence[tuple[Path, pd.DataFrame]], folder: Path, source: str | Path, first_row: int = FIRST_ROW
) -> Manifest:
    """Check the table of each file by its own rows, and make one manifest of them.

    An annotation that is there twice (an exported copy) is taken once; that is noted.

    Raises
    ------
    DataError
        As :func:`ecotf.datasets.make_manifest`; names the file and its row.
    """

    import pandas as pd

    checked = [make_manifest(table, folder, str(file), first_row).table for file, table in tables]
    table = pd.concat(checked, ignore_index=True) if len(checked) > 1 else checked[0]
    repeated = table.duplicated() & (table["label"] != "")
    manifest = make_manifest(table[~repeated].reset_index(drop=True), folder, str(source))
    notes = (f"{repeated.sum()} annotations are there twice; each is taken once",) if repeated.any() else ()
    return replace(manifest, notes=notes)
