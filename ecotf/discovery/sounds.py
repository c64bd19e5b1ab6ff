"""The sound of clips as small files, for a network to learn from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.audio.recording import ChannelChoice, open_recording
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import DataError, RecordingError

if TYPE_CHECKING:
    import pandas as pd

LABEL = "cluster_{:05d}"
"""What a cluster is called while a network learns it."""


def write_sounds(
    clips: pd.DataFrame, labels: np.ndarray, folder: Path, sample_rate: int, channel: ChannelChoice,
    time_expansion: float | None,
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

    Raises
    ------
    DataError
        Not one clip can be read.
    """
    import pandas as pd
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    lost = ""
    for path, inside in clips.assign(cluster=labels).groupby("path", sort=False):
        try:
            recording = open_recording(str(path), time_expansion=time_expansion)
            for number, start_s, end_s, cluster in inside[["start_s", "end_s", "cluster"]].itertuples():
                end_s = min(end_s, recording.duration_s) if not math.isnan(end_s) else recording.duration_s
                sound = recording.read(start_s, end_s, channel=channel, sample_rate=sample_rate)
                name = f"{number:07d}.wav"
                soundfile.write(folder / name, sound, sample_rate, subtype="FLOAT")
                rows.append({"recording": name, "start_s": 0.0, "end_s": np.nan, "label": LABEL.format(cluster)})
        except RecordingError as error:
            lost = f"{path}: {error}"
    if not rows:
        raise DataError(f"not one clip can be read again to learn from; {lost}")
    table = pd.DataFrame(rows).assign(split="train")
    table["group"] = table["recording"]
    return make_manifest(table, folder, str(folder))
