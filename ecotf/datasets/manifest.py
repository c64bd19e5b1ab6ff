"""The manifest: one table of annotations, checked once, that all of training and evaluation reads."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ecotf.audio.hdf5_rows import file_of
from ecotf.datasets.checks import COLUMNS, check_table
from ecotf.datasets.tables import FIRST_ROW, read_table
from ecotf.errors import DataError
from ecotf.strangers import as_cell

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "Manifest", "make_manifest", "read_manifest", "write_manifest"]


@dataclass(frozen=True, eq=False)
class Manifest:
    """Annotations of a set of recordings, one row each, in real seconds and hertz.

    Build it with :func:`make_manifest` or :func:`read_manifest`, which check the table.

    Parameters
    ----------
    table
        The columns :data:`COLUMNS`, then the optional ones that came with the file (``time_expansion``,
        ``duration_s``, ``call_type``, ...). A recording without annotations is one row with an empty label.
    root
        Folder that relative recordings are relative to.
    notes
        What an importer left out and why, one line each, for people to read; not written to files.
    """

    table: pd.DataFrame
    root: Path
    notes: tuple[str, ...] = ()

    @cached_property
    def recordings(self) -> list[str]:
        """The recordings as written, each once, in order of first appearance."""
        return self.table["recording"].unique().tolist()

    @cached_property
    def labels(self) -> list[str]:
        """The labels in use, sorted."""
        return sorted(label for label in self.table["label"].unique().tolist() if label)

    @cached_property
    def groups(self) -> list[str]:
        """The groups that a split may not cut, in order of first appearance."""
        return self.table["group"].unique().tolist()

    @property
    def annotations(self) -> pd.DataFrame:
        """The rows that carry a label."""
        return self.table[self.table["label"] != ""]

    def path_of(self, recording: str) -> Path:
        """Return the file of a recording (backslashes of a manifest written on Windows are understood)."""
        return self.root / recording.replace("\\", "/")

    def subset(self, recordings: Iterable[str]) -> Manifest:
        """Return the rows of these recordings only."""
        wanted = set(recordings)
        unknown = wanted.difference(self.recordings)
        if unknown:
            raise DataError(f"recording {min(unknown)!r} is not in the manifest ({len(self.recordings)} recordings)")
        rows = self.table["recording"].isin(wanted)
        return Manifest(self.table[rows].reset_index(drop=True), self.root)

    def of_split(self, split: str) -> Manifest:
        """Return the rows of one side of the split: ``train``, ``valid`` or ``test``; may be empty."""
        return Manifest(self.table[self.table["split"] == split].reset_index(drop=True), self.root)

    def with_splits(self, splits: Mapping[str, str] | pd.Series) -> Manifest:
        """The same annotations with the split of each recording set anew.

        Parameters
        ----------
        splits
            Recording to ``train``, ``valid``, ``test`` or ``""``; every recording must be there.
        """
        sides = dict(splits)
        absent = [recording for recording in self.recordings if recording not in sides]
        if absent:
            raise DataError(f"no split is given for recording {absent[0]!r} ({len(absent)} recordings without one)")
        table = self.table.assign(split=self.table["recording"].map(sides))
        return make_manifest(table, self.root, "split")

    def with_groups(self, group_by: str) -> Manifest:
        """The same annotations with the groups named anew.

        Parameters
        ----------
        group_by
            ``recording``; ``folder``, the folder that the recording lies in; an optional column of the manifest, as
            ``recordist``, where a recording whose cell is empty stays its own group; or a regular expression that is
            searched in every recording, whose first bracket (or whole match) is the name of the group, as
            ``^(site_\\d+)_``.
        """
        if group_by in self.table.columns and group_by not in COLUMNS:
            groups = self._groups_by_column(group_by)
        else:
            groups = {recording: _group_of(recording, group_by) for recording in self.recordings}
        return make_manifest(self.table.assign(group=self.table["recording"].map(groups)), self.root, "group")

    def _groups_by_column(self, name: str) -> dict[str, str]:
        pairs = self.table[["recording", name]].fillna("").astype("str").drop_duplicates()
        second = pairs["recording"].duplicated()
        if second.any():
            recording = pairs.loc[second, "recording"].iloc[0]
            raise DataError(f"group_by {name!r}: recording {recording!r} has two values of it; one is needed")
        return {
            recording: f"{name} {value.strip()}" if value.strip() else recording
            for recording, value in pairs.itertuples(index=False)
        }

    def time_expansion_of(self, recording: str) -> float | None:
        """How many times slower than life the file plays, where the manifest says so; ``None`` where it does not."""
        value = self._time_expansions.get(recording)
        return None if value is None else float(value)

    @cached_property
    def _time_expansions(self) -> dict[str, float]:
        if "time_expansion" not in self.table:
            return {}
        stated = self.table.loc[self.table["time_expansion"].notna(), ["recording", "time_expansion"]]
        return dict(stated.drop_duplicates("recording").itertuples(index=False, name=None))

    def missing_files(self) -> list[str]:
        """Return the recordings whose file is not there."""
        return [recording for recording in self.recordings if not _is_there(self.path_of(recording))]


def make_manifest(table: pd.DataFrame, root: str | Path, source: str, first_row: int = 1) -> Manifest:
    """Check a table of annotations and make it a manifest.

    Parameters
    ----------
    table
        At least ``recording, start_s, end_s, label``. What is missing or empty becomes: ``low_hz`` and ``high_hz``
        unknown (NaN), ``weight`` 1, ``group`` the recording itself, ``split`` empty. An empty ``end_s`` is allowed
        where ``start_s`` is 0: the label then holds for the whole recording.
    root
        Folder that relative recordings are relative to.
    source
        Where the table comes from; named in messages.
    first_row
        Number that messages give to the row with index 0 (2 where a header is row 1).

    Raises
    ------
    DataError
        One line: what is wrong, in which rows, and what is allowed.
    """
    root = Path(root)
    return Manifest(check_table(table, root, source, first_row), root)


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest from CSV or Parquet; relative recordings are relative to its folder.

    In CSV, optional columns other than ``time_expansion`` and ``duration_s`` are kept as text.

    Raises
    ------
    DataError
        The file cannot be read, or its content does not pass :func:`make_manifest`. Rows are numbered as a spreadsheet
        shows them: the header of a CSV is row 1.
    """

    import pandas as pd

    path = Path(path)
    if _format_of(path) == ".csv":
        return make_manifest(read_table(path), path.parent, str(path), FIRST_ROW)
    try:
        table = pd.read_parquet(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or 'not a Parquet file'})") from None
    except ValueError as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    return make_manifest(table, path.parent, str(path))


def write_manifest(manifest: Manifest, path: str | Path) -> None:
    """Write a manifest as CSV or Parquet, by its ending; either the whole file appears or none.

    Relative recordings are rewritten to be relative to the new file.

    Raises
    ------
    DataError
        The ending is unknown, or the file cannot be written.
    """
    path = Path(path)
    ending = _format_of(path)
    table = manifest.table
    old, new = os.path.abspath(manifest.root), os.path.abspath(path.parent)
    if old != new:
        # The group stays as it is: it is a name, even where it once was the recording's.
        moved = {recording: _relocate(recording, manifest, new) for recording in manifest.recordings}
        table = table.assign(recording=table["recording"].map(moved))
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if ending == ".csv":
            # Plain quotation forgets a lone carriage return.
            returns = any("\r" in text for name in ("recording", "label", "group") for text in table[name].unique())
            texts = {name: table[name].map(as_cell) for name in ("recording", "label", "group")}
            table.assign(**texts).to_csv(partial, index=False, quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL)
        else:
            table.to_parquet(partial, index=False)
        os.replace(partial, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        partial.unlink(missing_ok=True)


def _is_there(path: Path) -> bool:
    return os.path.isfile(path) or os.path.isfile(file_of(path))


def _group_of(recording: str, group_by: str) -> str:
    if group_by == "recording":
        return recording
    if group_by == "folder":
        return PurePosixPath(recording.replace("\\", "/")).parent.as_posix()
    try:
        match = re.search(group_by, recording)
    except re.error as error:
        raise DataError(
            f"group_by {group_by!r} is not a regular expression ({error}); allowed are recording, folder or one"
        ) from None
    if match is None:
        raise DataError(f"group_by {group_by!r} does not match recording {recording!r}; it must match all of them")
    return match[1] if match.re.groups else match[0]


def _format_of(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise DataError(f"{path}: a manifest is a .csv or a .parquet file, not {ending or 'a file without ending'!r}")
    return ending


def _relocate(recording: str, manifest: Manifest, folder: str) -> str:
    return recording if Path(recording).is_absolute() else os.path.relpath(manifest.path_of(recording), folder)
