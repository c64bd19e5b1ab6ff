"""Write detections, recording by recording, in the formats people open; thousands of recordings, bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ecotf.errors import ConfigError, DataError
from ecotf.files import atomic_file
from ecotf.inference.aoef import aoef
from ecotf.inference.formats import REQUIRED, Call, audacity, audiotagger, calls_of, raven
from ecotf.inference.places import Places, common_folder
from ecotf.inference.tables import Row, write_csv, write_parquet, write_published_csv


class PerRecording(NamedTuple):
    """A format with one file for each recording, written as soon as the recording is finished."""

    ending: str
    text: Callable[[list[Call], str, float], str]


class WholeJob(NamedTuple):
    """A format with one file for all recordings, written when the job ends."""

    file_name: str
    write: Callable[[Iterable[Row], Path, Path], None]


WRITERS: dict[str, PerRecording | WholeJob] = {
    "csv": WholeJob("detections.csv", write_csv),
    "parquet": WholeJob("detections.parquet", write_parquet),
    "published_csv": WholeJob("classification_result.csv", write_published_csv),
    "raven": PerRecording(".selections.txt", raven),
    "audacity": PerRecording(".labels.txt", audacity),
    "audiotagger": PerRecording("-sceneRect.csv", audiotagger),
    "aoef": PerRecording(".aoef.json", aoef),
}


def write_one(
    folder: Path, files: str, formats: Sequence[str], calls: Sequence[Call], recording: str, sample_rate: float
) -> list[Path]:
    """Write the files of one recording; each appears whole.

    Parameters
    ----------
    folder, files
        The output folder, and the place below it without an ending (:class:`~ecotf.inference.places.Places`).
    formats
        Names from :data:`WRITERS`; those of a whole job are passed over.
    recording
        Its path, as given by the user.
    sample_rate
        Real rate in Hz.
    """
    chosen = [writer for name in formats if isinstance(writer := WRITERS[name], PerRecording)]
    paths = paths_of_one(folder, files, formats)
    texts = [writer.text(list(calls), recording, sample_rate).encode("utf-8", "surrogateescape") for writer in chosen]
    for path, text in zip(paths, texts, strict=True):
        with atomic_file(path) as partial:
            partial.write_bytes(text)
    return paths


def paths_of_one(folder: Path, files: str, formats: Sequence[str]) -> list[Path]:
    """Return the paths that :func:`write_one` writes."""
    endings = [writer.ending for name in formats if isinstance(writer := WRITERS.get(name), PerRecording)]
    return [folder / f"{files}{ending}" for ending in endings]


def write_whole_job(folder: Path, formats: Sequence[str], rows: Callable[[], Iterable[Row]], root: Path) -> list[Path]:
    """Write the tables of all recordings, one format after the other; each appears whole, and memory stays small.

    Parameters
    ----------
    rows
        Gives all rows, from the first, each time.
    root
        The folder that the recordings lie in.
    """
    written = []
    for writer in (WRITERS[name] for name in dict.fromkeys(formats)):
        if isinstance(writer, WholeJob):
            writer.write(rows(), folder / writer.file_name, root)
            written.append(folder / writer.file_name)
    return written


def write_detections(
    table: pd.DataFrame, folder: str | Path, formats: Sequence[str], recordings: Mapping[str, float]
) -> list[Path]:
    """Write a detections table at once.

    Parameters
    ----------
    table
        Columns ``recording, start_s, end_s, low_hz, high_hz, label, score``, and where known ``detection_score,
        channel, time``; real seconds and hertz.
    folder
        Where to write; made if absent.
    formats
        Names from :data:`WRITERS`.
    recordings
        Every recording that was looked at, also those without detections, with its real sample rate in Hz.

    Returns
    -------
    The files written.

    Raises
    ------
    ConfigError
        An unknown format.
    DataError
        A column is missing, or a row names a recording that is not in ``recordings``.
    """
    check_formats(formats)
    needed = ("recording", *REQUIRED)
    absent = [column for column in needed if column not in table]
    if absent:
        raise DataError(f"the detections lack column {absent[0]!r}; needed are {', '.join(needed)}")
    strangers = set(table["recording"]).difference(recordings)
    if strangers:
        raise DataError(f"the detections name {min(strangers)!r}, which is not among the {len(recordings)} recordings")
    found = dict(list(table.groupby("recording", sort=False)))
    calls = {name: calls_of(found[name]) if name in found else [] for name in recordings}
    folder, root = Path(folder), common_folder(recordings)
    places = Places(str(root))
    written = []
    for name, sample_rate in recordings.items():
        place = places.take(name, os.path.realpath(name))
        written += write_one(folder, place, formats, calls[name], name, sample_rate)
    return written + write_whole_job(
        folder, formats, lambda: ((name, call) for name in recordings for call in calls[name]), root
    )


def check_formats(formats: Sequence[str]) -> None:
    """Refuse a format that is not known, before any work is done.

    Raises
    ------
    ConfigError
        Names the first unknown format and the known ones.
    """
    known = ", ".join(WRITERS)
    if not formats:
        raise ConfigError(f"no output format is given; known formats: {known}")
    for name in formats:
        if name not in WRITERS:
            raise ConfigError(f"output format {name!r} is unknown; known formats: {known}")
