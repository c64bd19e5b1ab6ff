"""Write detections, recording by recording, in the formats people open; thousands of recordings, bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pandas as pd

from ecotf.errors import ConfigError, DataError
from ecotf.files import atomic_file
from ecotf.inference.aoef import aoef
from ecotf.inference.formats import REQUIRED, Call, audacity, audiotagger, calls_of, raven
from ecotf.inference.tables import (
    Row,
    append_to_journal,
    read_journal,
    read_parquet,
    start_journal,
    write_csv,
    write_parquet,
    write_published_csv,
)

JOURNAL = "detections.csv.partial"


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


class DetectionWriter:
    """Writes the detections of a job into a folder.

    Formats with a file for each recording mirror the recordings' sub-folders, so recordings of the same name do not
    overwrite each other; each file appears whole when its recording is finished. Formats for the whole job are
    collected in a journal, ``detections.csv.partial``, a plain CSV with the columns of a detections table, and get
    their own names only at :meth:`close`: under a final name nothing is ever half-written. After a kill the journal
    keeps every recording that was finished; open the writer again with ``keep`` to go on from there.

    Used in a ``with`` block, it closes when the block ends well; after an error it leaves the journal.

    Parameters
    ----------
    folder
        Where to write; made if absent.
    formats
        Names from :data:`WRITERS`.
    root
        The folder that the recordings lie in (:func:`common_folder`).
    recordings
        All recordings of the job, in a fixed order. Where two differ only in their ending (``a.wav``, ``a.flac``) the
        first is written as ``a``, the other as ``a.flac``; knowing all of them keeps this so in a resumed job.
    keep
        None begins anew. When resuming, the finished recordings (:func:`~ecotf.inference.ledger.done_recordings`):
        their rows are kept, all others dropped, so a recording that was interrupted does not appear twice.

    Raises
    ------
    ConfigError
        An unknown format, none at all, or nothing to go on from.
    EcotfError
        The disk is full, or the folder cannot be written to; nothing half-written stays.
    """

    def __init__(
        self,
        folder: str | Path,
        formats: Sequence[str],
        root: str | Path,
        recordings: Iterable[str] = (),
        keep: Collection[str] | None = None,
    ) -> None:
        check_formats(formats)
        self.folder = Path(folder)
        self.written: list[Path] = []
        self._root = Path(os.path.abspath(root))
        chosen = [WRITERS[name] for name in dict.fromkeys(formats)]
        self._per_recording = [writer for writer in chosen if isinstance(writer, PerRecording)]
        self._whole_job = [writer for writer in chosen if isinstance(writer, WholeJob)]
        self._owners: dict[Path, str] = {}
        for recording in recordings:
            self._place_of(recording)
        self._journal = self.folder / JOURNAL
        if self._whole_job:
            start_journal(self._journal, self._older_rows(keep) if keep else ())

    def add(self, recording: str, table: pd.DataFrame, sample_rate: float) -> None:
        """Write the detections of one finished recording.

        Parameters
        ----------
        recording
            Its path, as given by the user.
        table
            Detections of this recording alone; may be empty. Its own ``recording`` column is not looked at.
        sample_rate
            Real rate in Hz.
        """
        calls = calls_of(table)
        place = self._place_of(recording)
        for writer in self._per_recording:
            path = place.with_name(place.name + writer.ending)
            content = writer.text(calls, recording, sample_rate).encode("utf-8", "surrogateescape")
            with atomic_file(path) as partial:
                partial.write_bytes(content)
            self.written.append(path)
        if self._whole_job:
            append_to_journal(self._journal, recording, calls)

    def close(self) -> list[Path]:
        """Give the whole-job tables their names and remove the journal; returns every file written."""
        for writer in self._whole_job:
            path = self.folder / writer.file_name
            writer.write(read_journal(self._journal), path, self._root)
            self.written.append(path)
        self._journal.unlink(missing_ok=True)
        self._whole_job = []
        return self.written

    def __enter__(self) -> DetectionWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, unless an error or Ctrl-C ended the block."""
        if kind is None:
            self.close()

    def _older_rows(self, keep: Collection[str]) -> Iterator[Row]:
        """The rows of finished recordings, from what the earlier job left."""
        sources = (
            (self._journal, read_journal),
            (self.folder / "detections.csv", read_journal),
            (self.folder / "detections.parquet", read_parquet),
        )
        for path, read in sources:
            if path.exists():
                return (row for row in read(path) if row[0] in keep)
        raise ConfigError(
            f"{self.folder}: {len(keep)} recordings are finished but their detections are not there (looked for "
            f"{', '.join(path.name for path, _ in sources)}); start again in an empty folder"
        )

    def _place_of(self, recording: str) -> Path:
        """The path, still without its ending, of this recording's files."""
        absolute = Path(os.path.abspath(recording))
        # One that lies elsewhere keeps its whole path, so that it cannot meet another.
        outside = self._root not in absolute.parents
        below = absolute.relative_to(absolute.anchor if outside else self._root)
        names = [below.stem, below.name]
        while True:
            for name in names:
                place = self.folder / below.parent / name
                if self._owners.setdefault(place, str(absolute)) == str(absolute):
                    return place
            names = [f"{names[-1]}_2"]


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
    nothing = table.iloc[:0]
    with DetectionWriter(folder, formats, common_folder(recordings), recordings) as writer:
        for recording, sample_rate in recordings.items():
            writer.add(recording, found.get(recording, nothing), sample_rate)
    return writer.written


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


def common_folder(recordings: Iterable[str]) -> Path:
    """The deepest folder that all recordings lie in, as an absolute path; the working folder if there are none."""
    parents = {os.path.dirname(os.path.abspath(recording)) for recording in recordings}
    return Path(os.path.commonpath(parents)) if parents else Path.cwd()
