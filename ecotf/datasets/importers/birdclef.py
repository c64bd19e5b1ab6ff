"""BirdCLEF and Xeno-canto: recordings that are labelled as a whole, with ratings, and folders to add to them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ecotf.audio.discover import SOUND_EXTENSIONS
from ecotf.audio.recording import open_recording
from ecotf.datasets.birdclef import (
    BACKGROUND_FACTOR,
    BEST_RATING,
    rating_weights,
    read_birdclef_table,
    read_class_list,
    xeno_canto_number,
)
from ecotf.datasets.importers.sources import files_in
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import DataError, RecordingError
from ecotf.wording import counted

if TYPE_CHECKING:
    import pandas as pd

METADATA = "train_metadata.csv"
_AUDIO_FOLDERS = ("train_audio", "train_short_audio")
_TOLD = 5  # names in one line


def import_birdclef(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    extra: Sequence[str] = (),
    background: Sequence[str] = (),
    classes: str | None = None,
    unrated: float | Literal["random"] = 2.5,
    seed: int = 0,
) -> Manifest:
    """Read the metadata of one year, and more recordings of its species from elsewhere.

    Parameters
    ----------
    path
        ``train_metadata.csv``, or its folder.
    audio_dir
        By default ``train_audio`` (2022 on) or ``train_short_audio`` (2021) beside the metadata.
    extra
        Folders of other years (with a ``train_metadata.csv``), or of Xeno-canto (one folder a species, called by
        its label or its scientific name). Species that are not in the class list, and recordings that are there
        already by their Xeno-canto number, are left out and counted.
    background
        Folders of recordings without any species, to be mixed into others; their label is empty and their ``role``
        is ``background``.
    classes
        File with the class list, one species a line or a ``sample_submission.csv``; by default the primary labels of
        ``path``.
    unrated
        The rating of recordings that have none or 0 (``random``: 0.5 to 5, as published for 2024).
    seed
        Of ``random``.

    Returns
    -------
    Manifest
        One row for each label of a recording, over its whole length (``end_s`` is empty where it cannot be opened).
        ``weight`` is rating / 5 from 0.1 to 1, times 0.8 where the species is not in the foreground. Further columns:
        ``rating``, ``foreground`` (1 for the primary label), ``recordist``, ``xeno_canto``, ``latitude``,
        ``longitude``, ``role``. Recordings from elsewhere have absolute paths. The notes say what was left out.

    Raises
    ------
    DataError
        A table or folder that cannot be used, none of the recordings being there, or a wrong ``unrated``.
    """

    import pandas as pd

    if unrated != "random" and not 0 <= unrated <= BEST_RATING:
        raise DataError(f"unrated is {unrated!r}; a rating from 0 to {BEST_RATING:g} is needed, or random")
    path = Path(path)
    metadata = path / METADATA if path.is_dir() else path
    main = read_birdclef_table(metadata)
    species = read_class_list(Path(classes)) if classes else sorted(main["label"].unique().tolist())
    codes = _codes_by_name(main, species)
    audio = Path(audio_dir) if audio_dir is not None else _audio_folder(metadata.parent)
    notes: list[str] = []
    found = _with_audio(main, audio, notes, f"{metadata}")
    known: set[str] = set()
    tables = [_selected(found, codes, known, notes, "")]
    for folder in map(Path, extra):
        table, where = _extra_table(folder)
        tables.append(_selected(_with_audio(table, where, [], str(folder)), codes, known, notes, str(folder)))
    recordings = pd.concat(tables, ignore_index=True)
    if not len(recordings):
        raise DataError(f"{metadata}: no recording is left; {'; '.join(notes)}")
    recordings["weight"] = rating_weights(recordings["rating"], recordings["foreground"], unrated, seed)
    rows = [*_rows(recordings, audio), *_background_rows(background, audio)]
    manifest = make_manifest(pd.DataFrame(rows), audio, str(metadata))
    return replace(manifest, notes=tuple(notes))


def _codes_by_name(table: pd.DataFrame, species: Sequence[str]) -> dict[str, str]:
    """Map each name of a species, in lower case, to its label: the label itself, or its scientific name."""
    listed = set(species)
    pairs = table.loc[table["scientific_name"] != "", ["scientific_name", "label"]].drop_duplicates()
    names = {_plain(name): label for name, label in pairs.itertuples(index=False) if label in listed}
    return names | {_plain(label): label for label in species}


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().lower()


def _audio_folder(folder: Path) -> Path:
    return next((folder / name for name in _AUDIO_FOLDERS if (folder / name).is_dir()), folder)


def _extra_table(folder: Path) -> tuple[pd.DataFrame, Path]:
    """The recordings of another year, or of a folder of species folders, and where the audio is."""

    import pandas as pd

    if not folder.is_dir():
        raise DataError(f"extra folder {str(folder)!r} is not there")
    if (folder / METADATA).is_file():
        return read_birdclef_table(folder / METADATA), _audio_folder(folder)
    files = [file.relative_to(folder) for file in files_in(folder, SOUND_EXTENSIONS)]
    stray = [file for file in files if len(file.parts) < 2]
    if stray or not files:
        what = f"{stray[0]} lies outside of a species folder" if stray else "it has no recordings"
        raise DataError(f"{folder}: {what}; expected {METADATA}, or one folder a species")
    table = pd.DataFrame({"label": [file.parts[0] for file in files], "file": [file.as_posix() for file in files]})
    table["secondary"] = [[] for _ in files]
    table["xeno_canto"] = [xeno_canto_number("", file) for file in table["file"]]
    text = dict.fromkeys(("recordist", "latitude", "longitude", "scientific_name"), "")
    return table.assign(rating=np.nan, foreground=True, **text), folder


def _with_audio(table: pd.DataFrame, audio: Path, notes: list[str], source: str) -> pd.DataFrame:
    """The rows whose file is there, with its path in ``path``; what does not fit is noted."""
    if not audio.is_dir():
        raise DataError(f"audio folder {str(audio)!r} is not there")
    there = {file.relative_to(audio).as_posix() for file in files_in(audio, SOUND_EXTENSIONS)}
    names = table["file"].str.replace("\\", "/")
    below = table["label"] + "/" + names  # 2021 names the file without its folder
    name = names.where(names.isin(there), below.where(below.isin(there), ""))
    lost = name == ""
    if lost.all():
        raise DataError(f"{source}: none of its {len(table)} recordings is in {audio}; --audio-dir says where they are")
    if lost.any():
        first = table.loc[lost, "file"].iloc[0]
        notes.append(f"{lost.sum()} of {len(table)} recordings of the metadata have no audio, the first is {first!r}")
        without = sorted(set(table.loc[lost, "label"]) - set(table.loc[~lost, "label"]))
        if without:
            notes.append(f"{counted(len(without), 'species', 'species')} of the metadata without any audio: "
                         f"{_some(without)}")  # fmt: skip
    unknown = sorted(there.difference(name))
    if unknown:
        notes.append(f"{counted(len(unknown), 'audio file')} without metadata left out, the first is {unknown[0]!r}")
    return table.assign(path=[str(audio / one) for one in name])[~lost]


def _selected(
    table: pd.DataFrame, codes: dict[str, str], known: set[str], notes: list[str], extra: str
) -> pd.DataFrame:
    """The recordings of listed species that are not ``known``; labels become those of the class list."""

    import pandas as pd

    twice = table["path"].duplicated() | table["xeno_canto"].isin(known - {""})
    twice |= table["xeno_canto"].duplicated() & (table["xeno_canto"] != "")
    known.update(table["xeno_canto"])
    primary = table["label"].map(lambda label: codes.get(_plain(label), ""))
    named = table["secondary"].map(lambda labels: [(label, codes.get(_plain(label), "")) for label in labels])
    listed = [
        [code for _, code in dict.fromkeys(pairs) if code and code != own]
        for pairs, own in zip(named, primary, strict=True)
    ]
    secondary = pd.Series(listed, index=table.index, dtype="object")
    # Another year is taken for its species; in the year itself, a listed species behind an unlisted one is kept.
    strange = primary == "" if extra else (primary == "") & (secondary.map(len) == 0)
    if extra:
        kept = int((~twice & ~strange).sum())
        notes.append(
            f"extra {extra}: {kept} of {len(table)} recordings taken; left out: {int(strange.sum())} of species that "
            f"are not in the class list, {int((twice & ~strange).sum())} that are there already"
        )
    else:
        outside = Counter(table.loc[primary == "", "label"])
        outside.update(label for pairs in named for label, code in pairs if not code)
        if outside:
            told = _some([f"{label} ({count})" for label, count in outside.most_common()])
            notes.append(f"{counted(len(outside), 'label')} outside of the class list left out: {told}")
        if twice.any():
            notes.append(f"{counted(int(twice.sum()), 'recording')} listed twice, taken once")
    return table.assign(label=primary, secondary=secondary)[~twice & ~strange]


def _rows(recordings: pd.DataFrame, root: Path) -> Iterable[dict[str, object]]:
    kept = ("rating", "recordist", "xeno_canto", "latitude", "longitude")
    for one in recordings.to_dict("records"):
        common = {**_span(Path(one["path"]), root), **{name: one[name] for name in kept}, "role": ""}
        if one["label"]:
            yield {**common, "label": one["label"], "weight": one["weight"], "foreground": int(one["foreground"])}
        behind = one["weight"] * (BACKGROUND_FACTOR if one["foreground"] else 1.0)
        for label in one["secondary"]:
            yield {**common, "label": label, "weight": behind, "foreground": 0}


def _background_rows(folders: Sequence[str], root: Path) -> Iterable[dict[str, object]]:
    for folder in map(Path, folders):
        files = files_in(folder, SOUND_EXTENSIONS) if folder.is_dir() else []
        if not files:
            raise DataError(f"background folder {str(folder)!r} is not there or has no recordings")
        for file in files:
            yield {**_span(file, root), "label": "", "weight": 1.0, "role": "background"}


def _span(file: Path, root: Path) -> dict[str, object]:
    try:
        end_s = open_recording(file).duration_s
    except RecordingError:
        end_s = np.nan
    # Not "../../": where the audio folder is a link, that leads elsewhere.
    name = file.relative_to(root) if file.is_relative_to(root) else Path(os.path.abspath(file))
    return {"recording": name.as_posix(), "start_s": 0.0, "end_s": end_s}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
