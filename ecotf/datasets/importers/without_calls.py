"""Recordings in which there is none of the calls, added to those that are annotated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ecotf.audio.discover import find_recordings
from ecotf.datasets.coverage import FULLY_ANNOTATED
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import DataError


def with_recordings_without_calls(manifest: Manifest, folders: Sequence[str | Path]) -> Manifest:
    """Add the recordings of folders that the manifest does not have, as ones in which there is nothing.

    Programs write no table for a recording without a box, so importers do not know of it. A model that learns events
    needs such recordings: they hold sounds that are not the call.

    Parameters
    ----------
    manifest
        What was imported. Its own recordings stay as they are.
    folders
        Folders, recordings or patterns. Recordings of the manifest among them are passed over.

    Returns
    -------
    Manifest
        One row more for each of these recordings, without a label and without an end; a note says how many.

    Raises
    ------
    DataError
        A folder is not there or has no recording.

    Examples
    --------
    >>> with_recordings_without_calls(import_raven("tables", "recordings"), ["recordings"])  # doctest: +SKIP
    """
    import pandas as pd

    if not folders:
        return manifest
    found = find_recordings(folders)
    if found.problems:
        argument, reason = found.problems[0]
        raise DataError(f"{argument}: {reason}")
    new = _not_in(manifest, found.recordings)
    notes = (*manifest.notes, _note(len(new), len(found.recordings) - len(new)))
    if not new:
        return replace(manifest, notes=notes)
    names = [os.path.relpath(path, manifest.root) for path in new]
    rows = pd.DataFrame({"recording": names, "start_s": 0.0, "end_s": None, "label": ""})
    if FULLY_ANNOTATED in manifest.table:
        rows[FULLY_ANNOTATED] = "yes"
    table = pd.concat([manifest.table, make_manifest(rows, manifest.root, "without calls").table], ignore_index=True)
    return replace(make_manifest(table, manifest.root, "without calls"), notes=notes)


def left_out(manifest: Manifest, folder: Path) -> list[Path]:
    """Return the recordings of a folder that the manifest does not have, sorted."""
    return _not_in(manifest, find_recordings([folder]).recordings)


def _not_in(manifest: Manifest, paths: Sequence[Path]) -> list[Path]:
    known = {os.path.realpath(manifest.path_of(recording)) for recording in manifest.recordings}
    return [path for path in paths if os.path.realpath(path) not in known]


def _note(new: int, known: int) -> str:
    said = f"{new} recording{'s' * (new != 1)} without any call added"
    return f"{said}; {known} more of these folders {'is' if known == 1 else 'are'} annotated already" if known else said
