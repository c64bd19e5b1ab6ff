"""Keep one band of a sound, without shifting it in time."""

from __future__ import annotations

import numpy as np


def band_passed(sound: np.ndarray, sample_rate: int, low_hz: float, high_hz: float, order: int = 5) -> np.ndarray:
    """Filter a sound with a Butterworth band-pass, forwards and backwards (as ``maad.sound.select_bandwidth``).

    What is constant in the sound goes, too. The power at both edges is a quarter: the filter is applied twice.

    Parameters
    ----------
    sound
        ``[samples]``
    low_hz, high_hz
        The band, above 0 and below half the sample rate.
    order
        Of the filter on each side.

    Returns
    -------
    float64 ``[samples]``

    Raises
    ------
    ValueError
        The band is not between 0 and half the sample rate, or the sound is only some dozen samples long.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> kept = band_passed(1 + np.sin(2 * np.pi * 500 * t) + np.sin(2 * np.pi * 3000 * t), 8000, 300, 1000)
    >>> bool(np.abs(kept - np.sin(2 * np.pi * 500 * t))[2000:6000].max() < 0.01)
    True
    """
    from scipy.signal import butter, sosfiltfilt

    sections = butter(order, (low_hz, high_hz), "bandpass", fs=sample_rate, output="sos")
    return np.asarray(sosfiltfilt(sections, np.asarray(sound, np.float64)))
