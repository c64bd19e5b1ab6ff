"""AudioSet: segment tables, the names of its classes and its ontology to a manifest of weakly labelled clips."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecotf.audio.discover import SOUND_EXTENSIONS
from ecotf.datasets.importers.sources import annotation_files, files_in, read_json
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.datasets.tables import read_table
from ecotf.datasets.text import lines_of, read_text
from ecotf.errors import DataError

ANIMALS = range(72, 137)
"""The indices of AudioSet's 65 animal classes; 137, which published code took with them, is Music."""

LABELS_FILE = "class_labels_indices.csv"
_SIDES = {"balanced_train": "train", "unbalanced_train": "train", "eval": "test"}
_ID = 11  # characters of a YouTube id
_SHOWN = 5


class AudioSetClass(NamedTuple):
    """A class: its number among all, its id in the ontology, and its name."""

    number: int
    mid: str
    name: str


@dataclass
class _Clip:
    """A clip as the segment tables name it."""

    side: str
    source: str
    labels: set[str]


def import_audioset(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    labels: str | None = None,
    classes: Sequence[str] = (),
    branches: Sequence[str] = (),
    ontology: str | None = None,
    missing: str | None = None,
) -> Manifest:
    """Read AudioSet's segment tables.

    Parameters
    ----------
    path
        A table as ``balanced_train_segments.csv``, or the folder of several: ``# YTID, start_seconds, end_seconds,
        positive_labels``. Its name says the split: ``balanced_train...`` and ``unbalanced_train...`` are train,
        ``eval...`` is test; clips of other tables have none.
    audio_dir
        Folder of the clips, ``Y<id>.wav`` or ``<id>.wav`` in it or in its subfolders; by default that of the tables.
    labels
        ``class_labels_indices.csv``; by default beside the tables.
    classes
        Classes to take, each by its name, its id (``/m/0jbk``) or its index; by default the 65 animal classes.
    branches
        Classes to take with all that the ontology has below them.
    ontology
        ``ontology.json``, for ``branches``; by default beside the tables.
    missing
        A text file to write the ids of clips that are not there into, one a line.

    Returns
    -------
    Manifest
        A row for each clip and class, for all of the clip. ``group`` is the video, so that no clip of it is on two
        sides.

    Raises
    ------
    DataError
        A file or class that is not there, a line that is no segment, a video on two sides, or not one clip.
    """
    tables = [path for path in annotation_files(path, (".csv",)) if path.name != LABELS_FILE]
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    known = read_audioset_classes(labels or folder / LABELS_FILE)
    wanted = _wanted(known, classes, branches, Path(ontology) if ontology else folder / "ontology.json")
    clips = _clips(tables, wanted)
    if not clips:
        raise DataError(
            f"{path}: no segment has any of the {len(wanted)} classes ({', '.join(list(wanted.values())[:3])}, ...)"
        )
    root = Path(audio_dir) if audio_dir is not None else folder
    files = _files_by_id(root)
    there = [name for name in clips if name in files]
    absent = [name for name in clips if name not in files]
    if missing is not None:
        Path(missing).write_text("".join(f"Y{name}\n" for name in absent))
    if not there:
        raise DataError(f"{root}: not one of {len(clips)} clips is there; the first is Y{absent[0]}.wav")
    rows = [
        (_file_of(name, clips[name], files[name]), 0.0, np.nan, label, f"Y{name}", clips[name].side)
        for name in there
        for label in sorted(clips[name].labels)
    ]
    return _manifest(rows, root, str(path), _notes(clips, absent, set(wanted.values()), there, missing))


def read_audioset_classes(path: str | Path) -> list[AudioSetClass]:
    """Read ``class_labels_indices.csv``: ``index, mid, display_name``.

    Raises
    ------
    DataError
        The file is not there, or is no such table.
    """
    table = read_table(path)
    for name in ("index", "mid", "display_name"):
        if name not in table:
            raise DataError(f"{path}: column {name!r} is missing; needed are index, mid, display_name")
    try:
        return [
            AudioSetClass(int(index), mid.strip(), name.strip())
            for index, mid, name in zip(table["index"], table["mid"], table["display_name"], strict=True)
        ]
    except ValueError as error:
        raise DataError(f"{path}: an index is no number ({error})") from None


def _manifest(rows: Sequence[tuple[object, ...]], root: Path, source: str, notes: tuple[str, ...]) -> Manifest:
    import pandas as pd

    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "group", "split"])
    made = make_manifest(table, root, source)
    return Manifest(made.table, made.root, notes)


def _wanted(
    known: Sequence[AudioSetClass], classes: Sequence[str], branches: Sequence[str], ontology: Path
) -> dict[str, str]:
    """Id to name of the classes to take, in AudioSet's order."""
    if not classes and not branches:
        chosen = {one.mid for one in known if one.number in ANIMALS}
        first = next((one.name for one in known if one.number == ANIMALS[0]), "not there")
        if first != "Animal" or len(chosen) != len(ANIMALS):
            raise DataError(
                f"the animal classes are those with the indices {ANIMALS[0]} to {ANIMALS[-1]}, Animal first; here "
                f"{ANIMALS[0]} is {first} and {len(chosen)} are there: give classes=NAME,NAME"
            )
    else:
        chosen = {_class_named(known, name).mid for name in (*classes, *branches)}
    if branches:
        below = {
            entry["id"]: entry.get("child_ids", ())
            for entry in read_json(ontology, "AudioSet's ontology, a list of classes")
        }
        queue = [_class_named(known, name).mid for name in branches]
        while queue:
            mid = queue.pop()
            chosen.add(mid)
            queue += [child for child in below.get(mid, ()) if child not in chosen]
    return {one.mid: one.name for one in known if one.mid in chosen}


def _class_named(known: Sequence[AudioSetClass], name: str) -> AudioSetClass:
    for one in known:
        if name in (one.name, one.mid, str(one.number)):
            return one
    raise DataError(f"AudioSet has no class {name!r}; a class is given by its name, as Dog, its id or its index")


def _clips(tables: Sequence[Path], wanted: Mapping[str, str]) -> dict[str, _Clip]:
    """Id to clip, of those that have a wanted class; raises `DataError` for one on two sides."""
    clips: dict[str, _Clip] = {}
    for table in tables:
        side = next((side for start, side in _SIDES.items() if table.name.startswith(start)), "")
        for name, mids in _segments(table):
            labels = {wanted[mid] for mid in mids if mid in wanted}
            if not labels:
                continue
            clip = clips.setdefault(name, _Clip(side, table.name, set()))
            if clip.side != side:
                raise DataError(
                    f"clip {name!r} is in {clip.source} ({clip.side or 'no split'}) and in {table.name} "
                    f"({side or 'no split'}); it can be on one side only"
                )
            clip.labels |= labels
    return clips


def _segments(table: Path) -> Iterator[tuple[str, list[str]]]:
    """The id and the labels' ids of each segment."""
    for number, line in enumerate(lines_of(read_text(table)), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = next(csv.reader([line], skipinitialspace=True))
        if len(cells) != 4 or len(cells[0]) != _ID:
            raise DataError(
                f"{table}: line {number} is no segment, {line[:60]!r}; needed are an id of {_ID} characters, two times "
                "and a quoted list of labels"
            )
        yield cells[0], [mid.strip() for mid in cells[3].split(",")]


def _files_by_id(root: Path) -> dict[str, list[str]]:
    """Id to the sound files of that name; the case of letters matters in an id."""
    if not root.is_dir():
        raise DataError(f"audio folder {str(root)!r} is not there")
    files: dict[str, list[str]] = {}
    for file in files_in(root, SOUND_EXTENSIONS):
        stem = file.stem[1:] if len(file.stem) == _ID + 1 and file.stem.startswith("Y") else file.stem
        if len(stem) == _ID:
            files.setdefault(stem, []).append(file.relative_to(root).as_posix())
    return files


def _file_of(name: str, clip: _Clip, files: Sequence[str]) -> str:
    """The file of a clip; of several that in a folder that is called as its table, or the first."""
    part = clip.source.removesuffix(".csv").removesuffix("_segments")
    return next((file for file in files if any(folder.startswith(part) for folder in file.split("/")[:-1])), files[0])


def _notes(
    clips: Mapping[str, _Clip], absent: Sequence[str], wanted: set[str], there: Sequence[str], missing: str | None
) -> tuple[str, ...]:
    notes = []
    if absent:
        listed = f"listed in {missing}" if missing else "list them with missing=FILE"
        first = ", ".join(f"Y{name}.wav" for name in absent[:_SHOWN])
        notes.append(
            f"{len(absent)} of {len(clips)} clips are not there ({first}{', ...' * (len(absent) > _SHOWN)}); {listed}"
        )
    for name in sorted(wanted - set().union(*(clips[one].labels for one in there))):
        notes.append(f"class {name!r} has no clip that is there; it will not be learned")
    return tuple(notes)
