"""Peaks: the moments at which something sounds, found from the spectrogram alone.

A bat's calls, their echoes, the syllables of a bush-cricket and a rain drop are all peaks. There are some tens of them
in a second, so looking at each peak is far cheaper than looking at every slice, and a peak, unlike a slice, is
something that can be a call or not.
"""

from __future__ import annotations

import warnings

import numpy as np
from pydantic import Field

from ecotf._kernels import events as kernels
from ecotf.config import Config


class PeakConfig(Config):
    """Settings that decide which maxima are peaks, in seconds and in the units of the spectrogram's scale.

    Attributes
    ----------
    smooth_s
        Standard deviation of the Gaussian that the strength is smoothed with.
    separation_s
        Of two peaks nearer than this, the stronger one stays.
    floor
        The least strength of a peak.
    prominence
        How far the strength must fall on both sides of a peak, within ``reach_s``, before a stronger one.
    """

    smooth_s: float = Field(0.0005, ge=0)
    separation_s: float = Field(0.004, gt=0)
    floor: float = Field(6.0, ge=0)
    prominence: float = Field(1.0, ge=0)
    reach_s: float = Field(0.03, gt=0)

    @property
    def margin_s(self) -> float:
        """Seconds of spectrogram on each side of a peak that decide whether it is one."""
        return 4 * self.smooth_s + self.separation_s + self.reach_s


def strongest_rows(values: np.ndarray) -> np.ndarray:
    """Return the strongest band of every slice: ``[slices, rows] -> float32 [slices]``.

    Examples
    --------
    >>> strongest_rows(np.array([[1.0, 3.0], [5.0, 2.0]])).tolist()
    [3.0, 5.0]
    """
    return np.asarray(kernels.strongest_rows(np.ascontiguousarray(values, np.float32)))


def strength(values: np.ndarray, hop_s: float, smooth_s: float, strongest: np.ndarray | None = None) -> np.ndarray:
    """Return the strongest band of every slice, smoothed over time: ``[slices, rows] -> float32 [slices]``."""

    from scipy.ndimage import gaussian_filter1d

    strongest = strongest_rows(values) if strongest is None else strongest
    return gaussian_filter1d(strongest, smooth_s / hop_s) if smooth_s else strongest


def find_peaks(values: np.ndarray, hop_s: float, config: PeakConfig, strongest: np.ndarray | None = None) -> np.ndarray:
    """Find the peaks of a denoised spectrogram.

    Whether a slice is a peak depends on the spectrogram within ``config.margin_s`` of it and on nothing else.

    Parameters
    ----------
    values
        float32 ``[slices, rows]``.
    strongest
        What `strongest_rows` gives for ``values``, where it is known already.

    Returns
    -------
    int ``[n]``: the slices, in order.
    """

    from scipy.signal import peak_prominences

    if not len(values):
        return np.empty(0, np.intp)
    track = strength(values, hop_s, config.smooth_s, strongest)
    peaks = np.asarray(kernels.local_maxima(track, max(1, round(config.separation_s / hop_s)), config.floor))
    if not config.prominence or not len(peaks):
        return peaks
    with warnings.catch_warnings():
        # The edge of the recording, or a plateau, has no prominence; that is an answer, not a problem.
        warnings.simplefilter("ignore")
        prominent = peak_prominences(track, peaks, wlen=2 * round(config.reach_s / hop_s) + 1)[0]
    return peaks[prominent >= config.prominence]


MEASURES = (
    "strength",
    "seconds since the peak before",
    "seconds to the peak after",
    "strength of the peak before",
    "strength of the peak after",
    "strength below the strongest nearby",
    "strength below the strongest within reach",
    "strength below the strongest before it within reach",
    "prominence",
    "strongest band",
    "bands above half of the strength",
)


def measure_peaks(
    values: np.ndarray,
    peaks: np.ndarray,
    hop_s: float,
    config: PeakConfig,
    strongest: np.ndarray | None = None,
) -> np.ndarray:
    """Measure what a window alone does not show well: how a peak stands among its neighbours.

    Parameters
    ----------
    values
        float32 ``[slices, rows]``.
    peaks
        int ``[n]``, as `find_peaks` gives them for these values.
    strongest
        What `strongest_rows` gives for ``values``, where it is known already.

    Returns
    -------
    float32 ``[n, 11]``, in the order of `MEASURES`; strengths in the units of the spectrogram, bands as a share of all.
    """

    from scipy.ndimage import maximum_filter1d
    from scipy.signal import peak_prominences

    if not len(peaks):
        return np.empty((0, len(MEASURES)), np.float32)
    track = strength(values, hop_s, config.smooth_s, strongest)
    own = track[peaks]
    reach = max(1, round(config.reach_s / hop_s))
    gaps = np.minimum(np.diff(peaks), reach) * hop_s
    far, none = [reach * hop_s], [np.float32(0)]
    before, after = np.concatenate([far, gaps]), np.concatenate([gaps, far])
    apart_before, apart_after = before >= reach * hop_s, after >= reach * hop_s
    around = maximum_filter1d(track, reach | 1, mode="nearest")
    within = maximum_filter1d(track, 2 * reach + 1, mode="nearest")
    # So shifted, the filter looks at the slices before and at the slice itself.
    earlier = maximum_filter1d(track, reach + 1, origin=reach // 2, mode="nearest")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prominence = peak_prominences(track, peaks, wlen=2 * reach + 1)[0]
    bands = np.asarray(values)[peaks]
    columns = [
        own,
        before,
        after,
        np.where(apart_before, 0, np.concatenate([none, own[:-1]])),
        np.where(apart_after, 0, np.concatenate([own[1:], none])),
        around[peaks] - own,
        within[peaks] - own,
        earlier[peaks] - own,
        prominence,
        bands.argmax(axis=1) / bands.shape[1],
        (bands > 0.5 * own[:, None]).mean(axis=1),
    ]
    return np.stack(columns, axis=1).astype(np.float32)
