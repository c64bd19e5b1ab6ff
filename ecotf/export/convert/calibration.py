"""Examples that int8 is calibrated with: patches of the run's training recordings, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecotf.errors import ConfigError, RecordingError
from ecotf.export.prove.recordings import RunRecordings
from ecotf.features.peaks import find_peaks
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.pipelines.patches import cut_patches
from ecotf.tasks.calls.run import LoadedRun

_SECONDS = 120.0
_WINDOWS = 300


@dataclass(frozen=True)
class Calibration:
    """What int8 is calibrated with.

    Attributes
    ----------
    inputs
        Examples of the quantised stages' inputs by their names, float32 ``[n, ...]`` each.
    recordings
        What they are from.
    """

    inputs: Mapping[str, np.ndarray]
    recordings: tuple[str, ...]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


def calibration_patches(run: LoadedRun, recordings: RunRecordings) -> Calibration:
    """Patches on peaks of the training recordings, at whatever rate each has, evenly drawn.

    Raises
    ------
    ConfigError
        No training recording is found, or no peak in them.
    """
    detector, recipe = run.detector, run.recipe
    slices = detector.patches.slices(recipe.front_end.hop_s)
    paths = recordings.paths("train")
    if not paths:
        raise ConfigError(
            f"--precision int8 is calibrated with the run's training recordings, and none that {run.path}/manifest.csv "
            "names is there; say where they are with --recordings FOLDER, or export with --precision f16"
        )
    found, names = [], []
    for sound in recordings.sounds(paths, _SECONDS):
        try:
            made = BandSpectrogram(recipe.front_end, sound.rate)
            values = made(sound.samples)
        except (ConfigError, RecordingError):
            continue
        centres = find_peaks(values, made.hop_s, recipe.peaks)
        if recipe.detection.scoring.at == "grid":
            centres = np.arange(slices // 2, len(values), slices)
        if len(centres):
            found.append(cut_patches(values, centres, slices, detector.patches))
            names.append(sound.name)
    if not found:
        raise ConfigError(
            f"none of the {len(paths)} training recordings that are there holds a patch to calibrate with"
        )
    patches = np.concatenate(found)
    chosen = np.unique(np.linspace(0, len(patches) - 1, min(_WINDOWS, len(patches))).astype(int))
    return Calibration({"patch": patches[chosen]}, tuple(names))
