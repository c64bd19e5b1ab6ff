"""Examples that int8 is calibrated with: windows of the run's training recordings, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecotf.errors import ConfigError, RecordingError
from ecotf.export.recordings import RunRecordings
from ecotf.features.pulses import find_pulses
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.inference.load import LoadedRun
from ecotf.pipelines.windows import cut_windows

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


def calibration_windows(run: LoadedRun, recordings: RunRecordings) -> Calibration:
    """Windows on pulses of the training recordings, at whatever rate each has, evenly drawn.

    Raises
    ------
    ConfigError
        No training recording is found, or no pulse in them.
    """
    detector, recipe = run.detector, run.recipe
    slices = detector.windows.slices(recipe.front_end.hop_s)
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
        centres = find_pulses(values, made.hop_s, recipe.pulses)
        if recipe.detection.scoring.at == "grid":
            centres = np.arange(slices // 2, len(values), slices)
        if len(centres):
            found.append(cut_windows(values, centres, slices, detector.windows))
            names.append(sound.name)
    if not found:
        raise ConfigError(
            f"none of the {len(paths)} training recordings that are there holds a window to calibrate with"
        )
    windows = np.concatenate(found)
    chosen = np.unique(np.linspace(0, len(windows) - 1, min(_WINDOWS, len(windows))).astype(int))
    return Calibration({"window": windows[chosen]}, tuple(names))
