"""The index files of PANNs: which rows of packed HDF5 files are clips of a set, and what is heard in them.

Indices that were published have rows without a clip, clips several times (once a label), rows that name another file
than the one that holds them, and clips of the test among those to learn from. What is wrong is left out and counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from ecotf.audio.hdf5_rows import ENDINGS, names_of, open_packed
from ecotf.datasets.importers.audioset import ANIMALS, LABELS_FILE, read_audioset_classes
from ecotf.datasets.importers.sources import annotation_files, files_in
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import DataError, RecordingError

_COLUMNS = ("audio_name", "hdf5_path", "index_in_hdf5", "target")
_TRAIN = ("train", "balanced_train", "unbalanced_train", "full_train")
_SHOWN = 3


@dataclass
class _Clips:
    """What the indices say of clips that are there, and why rows are left out."""

    labels: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    sides: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    rows: int = 0
    used: int = 0
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know."""
        notes = [f"{_some(names, self.rows)} {reason}" for reason, names in self.left_out.items()]
        if self.used > len(self.labels):
            notes.append(f"{self.used - len(self.labels)} rows are copies of a clip; it has the classes of all of them")
        return tuple(notes)

    def keep_apart(self) -> tuple[str, ...]:
        """Take clips out of training that are in the test too, in this file or another; what to say of it."""
        tested = {_name(one) for one, sides in self.sides.items() if "test" in sides}
        both = [one for one, sides in self.sides.items() if "train" in sides and _name(one) in tested]
        n = len({_name(one) for one in self.labels})
        for one in both:
            self.sides[one].discard("train")
            if not self.sides[one]:
                del self.sides[one], self.labels[one]
        if not both:
            return ()
        said = _some([_name(one) for one in both], n, "clips")
        return (f"{said} to learn from are in the test too, and stay there",)


def import_panns_hdf5(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    labels: str | None = None,
    classes: Sequence[str] = (),
) -> Manifest:
    """Read index files as PANNs' ``create_indexes.py`` writes them.

    Parameters
    ----------
    path
        An index, or the folder of several: ``audio_name``, ``hdf5_path``, ``index_in_hdf5`` and ``target`` ``[n,
        classes]``. Its name says the split: ``balanced_train...``, ``full_train...`` and the like are train,
        ``eval...`` and ``test...`` are test; clips of others have none.
    audio_dir
        Folder of the packed files, found by their names where their paths are of another computer; by default that of
        the indices.
    labels
        ``class_labels_indices.csv``; by default beside the indices. With 66 columns these are its classes from the
        first animal on, as published: the last is Music.
    classes
        Classes to take; by default all.

    Returns
    -------
    Manifest
        A row for each clip and class, for all of the clip, whose recording is ``file.h5#audio_name``. ``group`` is the
        name of the clip. Notes say what was left out: rows without a clip or a class, clips that are not where the
        index says, and clips to learn from that are in the test too.

    Raises
    ------
    DataError
        No index, none that fits the classes, or not one clip.
    """
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    root = Path(audio_dir) if audio_dir is not None else folder
    indices = [file for file in annotation_files(path, ENDINGS) if Path(path).is_file() or _is_index(file)]
    if not indices:
        raise DataError(f"{path}: no index of PANNs among its HDF5 files; one has {', '.join(_COLUMNS)}")
    files = _Files(root)
    clips = _Clips()
    for index in indices:
        _read(index, Path(labels) if labels else folder / LABELS_FILE, classes, files, clips)
    if not clips.labels:
        raise DataError(f"{path}: not one clip can be used; {(*clips.notes(), 'the index has no row')[0]}")
    notes = clips.notes()
    return _manifest(clips, root, str(path), (*notes, *clips.keep_apart()))


class _Files:
    """Packed files, found by the paths that an index has, which may be of another computer."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError(f"audio folder {str(root)!r} is not there")
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for file in files_in(root, ENDINGS):
            self._by_name[file.name.lower()].append(file.relative_to(root))
        self.root = root
        self._names: dict[Path, list[str] | str] = {}

    def find(self, path: str) -> Path | None:
        """Return the file relative to the root: of several of its name the one whose folders are most alike."""
        parts = (PureWindowsPath(path) if "\\" in path else PurePosixPath(path)).parts
        found = self._by_name.get(parts[-1].lower() if parts else "", [])
        return max(found, key=lambda file: _alike(file.parts, parts), default=None)

    def names(self, file: Path) -> list[str] | str:
        """Return the name of each row of a file, or why it cannot be used."""
        if file not in self._names:
            import h5py

            try:
                open_packed(self.root / file)
                with h5py.File(self.root / file, "r") as opened:
                    self._names[file] = names_of(opened["audio_name"])
            except RecordingError as error:
                self._names[file] = str(error)
        return self._names[file]


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts of two paths are the same, from the end."""
    same = [a == b for a, b in zip(reversed(one), reversed(other), strict=False)]
    return same.index(False) if False in same else len(same)


def _is_index(file: Path) -> bool:
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            return "hdf5_path" in opened
    except OSError:
        return False


def _read(index: Path, labels: Path, wanted: Sequence[str], files: _Files, clips: _Clips) -> None:
    """Add what an index says; raises `DataError` for one that is none."""
    side = "train" if index.name.startswith(_TRAIN) else "test" if index.name.startswith(("eval", "test")) else ""
    for name, path, row, classes in _rows(index, labels, wanted):
        clips.rows += 1
        if not name:
            clips.left_out["name no clip"].append(f"{index.name}, row {row}")
            continue
        file = files.find(path)
        there = f"{path}: no such file" if file is None else files.names(file)
        reason = "are not where the index says"
        if isinstance(there, str):
            clips.left_out[f"are in files that cannot be used ({there})"].append(name)
        elif not 0 <= row < len(there) or there[row] != name:
            clips.left_out[reason].append(name)
        elif not classes:
            clips.left_out["have no class that is taken"].append(name)
        else:
            recording = f"{file.as_posix() if file else ''}#{name}"
            clips.used += 1
            clips.labels[recording] |= classes
            clips.sides[recording].add(side)


def _rows(index: Path, labels: Path, wanted: Sequence[str]) -> Iterator[tuple[str, str, int, set[str]]]:
    """Yield name, file, row and classes of each row of an index."""
    import h5py

    try:
        with h5py.File(index, "r") as opened:
            lacking = [name for name in _COLUMNS if name not in opened]
            if lacking:
                raise DataError(
                    f"{index}: no index of PANNs, for it has no {lacking[0]}; one has {', '.join(_COLUMNS)}"
                )
            target = np.asarray(opened["target"][:], bool)
            names, paths = names_of(opened["audio_name"]), names_of(opened["hdf5_path"])
            rows = [int(row) for row in opened["index_in_hdf5"][:]]
            known = names_of(opened["class_names"]) if "class_names" in opened else None
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"{index}: no index of PANNs, or damaged ({str(error).splitlines()[0]})") from None
    if target.ndim != 2 or not len(target) == len(names) == len(paths) == len(rows):
        raise DataError(f"{index}: its columns are not of one length, or target is not [clips, classes]")
    columns = np.array(known or _class_names(index, labels, target.shape[1]))
    unknown = sorted(set(wanted) - set(columns))
    if unknown:
        raise DataError(f"{index}: no class {unknown[0]!r} among its {len(columns)}")
    taken = np.isin(columns, list(wanted)) if wanted else np.ones(len(columns), bool)
    for name, path, row, yes in zip(names, paths, rows, target & taken, strict=True):
        yield name, path, row, set(columns[yes].tolist())


def _class_names(index: Path, labels: Path, n: int) -> list[str]:
    """Names of the columns of ``target``: those of AudioSet's table, or its animals and, as published, Music."""
    known = [one.name for one in sorted(read_audioset_classes(labels))]
    if n == len(known):
        return known
    if n in (len(ANIMALS), len(ANIMALS) + 1) and len(known) >= ANIMALS.stop + 1:
        return known[ANIMALS.start : ANIMALS.start + n]
    raise DataError(
        f"{index}: its target has {n} classes, {labels} has {len(known)}; give the table that it was made with"
    )


def _manifest(clips: _Clips, root: Path, source: str, notes: tuple[str, ...]) -> Manifest:
    import pandas as pd

    rows = [
        (recording, 0.0, np.nan, label, Path(_name(recording)).stem, max(clips.sides[recording]))
        for recording, labels in clips.labels.items()
        for label in sorted(labels)
    ]
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "group", "split"])
    made = make_manifest(table, root, source)
    return Manifest(made.table, made.root, notes)


def _name(recording: str) -> str:
    return recording.partition("#")[2]


def _some(names: Sequence[str], n: int, what: str = "rows") -> str:
    """Say how many, and the first of them."""
    first = ", ".join(list(dict.fromkeys(names))[:_SHOWN])
    return f"{len(names)} of {n} {what} ({first}{', ...' * (len(names) > _SHOWN)})"
