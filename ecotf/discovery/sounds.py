"""The sound of clips as small files, for a network to learn from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.audio.recording import open_recording
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import DataError, RecordingError
from ecotf.inference.embed_job import EmbedOptions
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    import pandas as pd

LABEL = "cluster_{:05d}"
"""What a cluster is called while a network learns it."""


def write_sounds(
    clips: pd.DataFrame, labels: np.ndarray, folder: Path, sample_rate: int, options: EmbedOptions, log: Log
) -> Manifest:  # fmt: skip
    """Write the sound of clips into a folder, and return a manifest with their clusters as labels.

    Parameters
    ----------
    clips
        ``path, start_s, end_s``.
    labels
        The cluster of each, ``[n]``.
    sample_rate
        Hz; sound is resampled to it.
    options
        How the clips were heard.
    log
        Takes a line for each recording that cannot be read any more; nothing is learned from the rest of its clips.

    Raises
    ------
    DataError
        Not one clip can be read.
    """
    import pandas as pd
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for path, inside in clips.assign(cluster=labels).groupby("path", sort=False):
        try:
            recording = open_recording(str(path), time_expansion=options.time_expansion, salvage=options.salvage)
            for number, start_s, end_s, cluster in inside[["start_s", "end_s", "cluster"]].itertuples():
                end_s = min(end_s, recording.duration_s) if not math.isnan(end_s) else recording.duration_s
                sound = recording.read(start_s, end_s, channel=options.channel, sample_rate=sample_rate)
                name = f"{number:07d}.wav"
                soundfile.write(folder / name, sound, sample_rate, subtype="FLOAT")
                rows.append({"recording": name, "start_s": 0.0, "end_s": np.nan, "label": LABEL.format(cluster)})
        except RecordingError as error:
            log(f"{path}: {error}; nothing more is learned from its clips")
    if not rows:
        raise DataError("not one clip can be read again to learn from")
    table = pd.DataFrame(rows).assign(split="train")
    table["group"] = table["recording"]
    return make_manifest(table, folder, str(folder))
