"""Peaks: the moments at which something sounds, and how each stands among its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.scoring.maxima import largest_within, local_maxima, prominences, smooth_gaussian

N_MEASURES = 11


@dataclass(frozen=True)
class PeakSettings:
    """Settings for peaks, in seconds and in the units of the spectrogram's scale, as trained."""

    smooth_s: float
    separation_s: float
    floor: float
    prominence: float
    reach_s: float

    @classmethod
    def read(cls, facts: Mapping[str, float]) -> PeakSettings:
        """From ``model.json``."""
        return cls(*(float(facts[name]) for name in cls.__dataclass_fields__))

    @property
    def margin_s(self) -> float:
        """Number of steps around a peak that decide if it is one."""
        return 4 * self.smooth_s + self.separation_s + self.reach_s


def strength(values: NDArray[np.float32], hop_s: float, smooth_s: float) -> NDArray[np.float32]:
    """The strongest band of every slice, smoothed over time: ``[slices, rows] -> float32 [slices]``."""
    return smooth_gaussian(values.max(axis=1), smooth_s / hop_s)


def find_peaks(track: NDArray[np.float32], hop_s: float, settings: PeakSettings) -> NDArray[np.intp]:
    """The slices that are peaks, in order, from the spectrogram's `strength`."""
    if not len(track):
        return np.empty(0, np.intp)
    peaks = local_maxima(track, max(1, round(settings.separation_s / hop_s)), settings.floor)
    if not settings.prominence or not len(peaks):
        return peaks
    return peaks[prominences(track, peaks, round(settings.reach_s / hop_s)) >= settings.prominence]


def measure_peaks(
    values: NDArray[np.float32],
    track: NDArray[np.float32],
    peaks: NDArray[np.intp],
    hop_s: float,
    settings: PeakSettings,
) -> NDArray[np.float32]:
    """Measure peaks: float32 ``[n, 11]``, in the desktop's order (``ecotf.features.peaks.MEASURES``)."""
    if not len(peaks):
        return np.empty((0, N_MEASURES), np.float32)
    own = track[peaks]
    reach = max(1, round(settings.reach_s / hop_s))
    gaps = np.minimum(np.diff(peaks), reach) * hop_s
    far, none = [reach * hop_s], [np.float32(0)]
    before, after = np.concatenate([far, gaps]), np.concatenate([gaps, far])
    bands = values[peaks]
    columns = [
        own,
        before,
        after,
        np.where(before >= reach * hop_s, 0, np.concatenate([none, own[:-1]])),
        np.where(after >= reach * hop_s, 0, np.concatenate([own[1:], none])),
        largest_within(track, peaks, reach // 2, reach // 2) - own,
        largest_within(track, peaks, reach, reach) - own,
        largest_within(track, peaks, reach, 0) - own,
        prominences(track, peaks, reach),
        bands.argmax(axis=1) / bands.shape[1],
        (bands > 0.5 * own[:, None]).mean(axis=1),
    ]
    return np.asarray(np.stack(columns, axis=1), np.float32)
