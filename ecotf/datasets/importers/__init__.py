"""Importers: from the annotation formats that people have to one manifest."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ecotf.datasets.coverage import with_full_annotation
from ecotf.datasets.importers.aoef import import_aoef
from ecotf.datasets.importers.audacity import import_audacity
from ecotf.datasets.importers.audioset import import_audioset
from ecotf.datasets.importers.bat_npz import import_bat_npz
from ecotf.datasets.importers.batdetect2 import import_batdetect2
from ecotf.datasets.importers.birdclef import import_birdclef
from ecotf.datasets.importers.csv_table import import_csv_table
from ecotf.datasets.importers.darksound import import_darksound
from ecotf.datasets.importers.detections import import_audiotagger, import_parquet, import_published_csv
from ecotf.datasets.importers.esc50 import import_esc50
from ecotf.datasets.importers.folders import import_folders
from ecotf.datasets.importers.kaleidoscope import import_kaleidoscope
from ecotf.datasets.importers.panns_hdf5 import import_panns_hdf5
from ecotf.datasets.importers.raven import import_raven
from ecotf.datasets.importers.without_calls import with_recordings_without_calls
from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError

__all__ = ["IMPORTERS", "import_annotations"]

IMPORTERS: dict[str, Callable[..., Manifest]] = {
    "aoef": import_aoef,
    "audacity": import_audacity,
    "audioset": import_audioset,
    "audiotagger": import_audiotagger,
    "bat_npz": import_bat_npz,
    "batdetect2": import_batdetect2,
    "birdclef": import_birdclef,
    "csv": import_csv_table,
    "darksound": import_darksound,
    "esc50": import_esc50,
    "folders": import_folders,
    "kaleidoscope": import_kaleidoscope,
    "panns_hdf5": import_panns_hdf5,
    "parquet": import_parquet,
    "published_csv": import_published_csv,
    "raven": import_raven,
}


def import_annotations(
    format: str,
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    group_by: str = "recording",
    fully_annotated: bool | None = None,
    without: Sequence[str | Path] = (),
    **options: Any,
) -> Manifest:
    """Read annotations of any known format.

    Parameters
    ----------
    format
        One of :data:`IMPORTERS`.
    path
        The annotation file or folder.
    audio_dir
        Folder of the recordings; by default where the annotations are.
    group_by
        What a split may not cut through: ``recording``, ``folder``, a column such as ``recordist``, or a regular
        expression searched in the name of the recording (see :meth:`ecotf.datasets.Manifest.with_groups`).
    fully_annotated
        Whether every event of the recordings is annotated, so that there is none where there is no annotation
        (`ecotf.datasets.coverage`); None says nothing.
    without
        Folders of recordings in which there is none of the events; those that are annotated are passed over
        (`ecotf.datasets.importers.without_calls`).
    options
        Those of the importer.

    Returns
    -------
    Manifest
        In real seconds and hertz.

    Raises
    ------
    DataError
        An unknown format or option, or anything that the importer refuses.
    """
    if format not in IMPORTERS:
        raise DataError(f"annotation format {format!r} is unknown; allowed: {', '.join(IMPORTERS)}")
    importer = IMPORTERS[format]
    parameters = inspect.signature(importer).parameters.values()
    named = {parameter.name: parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    for name in options:
        if name not in named:
            raise DataError(f"format {format} has no option {name!r}; it has: {', '.join(named)}")
    for name, parameter in named.items():
        if parameter.default is parameter.empty and name not in options:
            raise DataError(f"format {format} needs the option {name!r}")
    manifest = importer(path, audio_dir, **options)
    if fully_annotated is not None:
        manifest = replace(manifest, table=with_full_annotation(manifest.table, fully_annotated))
    manifest = with_recordings_without_calls(manifest, without)
    if group_by == "recording":
        return manifest
    return replace(manifest.with_groups(group_by), notes=manifest.notes)
