"""The clips that are clustered: where each is in its recording, and what else is known of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.audio.beginning import Began, find_beginning, iso_time
from ecotf.audio.metadata import read_notes
from ecotf.embeddings.records import EmbeddedRecords
from ecotf.embeddings.store import Embeddings

if TYPE_CHECKING:
    import pandas as pd


def clips_of(embeddings: Embeddings, regions: pd.DataFrame | None = None) -> pd.DataFrame:
    """Make the table of clips: a row for each row of the table of embeddings.

    Parameters
    ----------
    embeddings
        Of windows of recordings, of annotations, or of the clips of regions.
    regions
        The manifest of a folder of regions: the clips' recordings are looked up in it, with their time and band.

    Returns
    -------
    The columns of `ecotf.discovery.folder.COLUMNS` up to ``row``, and ``label``. ``site`` is the folder of the
    recording; ``time`` is where the clip begins, if the recording says when that was.
    """
    import pandas as pd

    table = embeddings.table
    paths = {record.recording: record.path for record in EmbeddedRecords(embeddings.folder)}
    count = len(table)
    clips = pd.DataFrame({
        "recording": table["recording"].to_numpy(object),
        "path": [paths.get(name, os.path.realpath(name)) for name in table["recording"]],
        "start_s": table["start_s"].to_numpy(float),
        "end_s": table["end_s"].to_numpy(float),
        "low_hz": np.full(count, np.nan),
        "high_hz": np.full(count, np.nan),
        "row": np.arange(count),
        "label": table["label"].fillna("").to_numpy(object) if "label" in table else "",
    })  # fmt: skip
    if regions is not None and count:
        clips = _in_recordings(clips, regions)
    began = {path: _began(path) for path in clips["path"].unique()}
    clips["site"] = [Path(path).parent.name for path in clips["path"]]
    clips["time"] = [iso_time(began[path], start) for path, start in zip(clips["path"], clips["start_s"], strict=True)]
    return clips


def _in_recordings(clips: pd.DataFrame, regions: pd.DataFrame) -> pd.DataFrame:
    """Replace the place of each clip of a region by that of the region in its recording."""
    known = regions.drop_duplicates("recording").set_index("recording").loc[clips["recording"]]
    found = clips.assign(recording=known["source"].to_numpy(object), path=known["source_path"].to_numpy(object))
    for ours, theirs in (("start_s", "source_start_s"), ("end_s", "source_end_s"), ("low_hz", "low_hz"),
                         ("high_hz", "high_hz")):  # fmt: skip
        found[ours] = known[theirs].to_numpy(float)
    return found


def _began(path: str) -> Began | None:
    try:
        noted: list[tuple[str, dict[str, str]]] = read_notes(path).dated
    except OSError:
        noted = []
    given: list[tuple[str, Mapping[str, str]]] = list(noted)
    return find_beginning(path, given)[0]
