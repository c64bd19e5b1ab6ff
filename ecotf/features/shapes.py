"""Measures of a region of interest for clustering: its shapes, by two-dimensional wavelets, and its place in frequency.

The numbers are those of bambird on scikit-maad (Ulloa et al., Ecological Indicators 2018), which the Darksound data set
was made with.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

Resolution = Literal["low", "med", "high"]

_ORIENTATIONS: dict[Resolution, int] = {"low": 2, "med": 4, "high": 8}
_LEVELS: dict[Resolution, int] = {"low": 4, "med": 6, "high": 6}
_FREQUENCIES = (0.35, 0.5)  # in cycles a pixel
_BANDWIDTH, _ELONGATION, _SIGMAS = 0.8, 2.0, 3
_BACKGROUND_ROWS, _BACKGROUND_SIGMA = 50, 25
_LEAST_DB = 6.0
_SMOOTHED_ROWS = 35
_DOWN_DB = 6.0


def count_shapes(resolution: Resolution) -> int:
    """Return how many shape features there are: 16, 48 or 96."""
    return _ORIENTATIONS[resolution] * _LEVELS[resolution] * len(_FREQUENCIES)


def without_background(levels: np.ndarray) -> np.ndarray:
    """Take the background off a region's spectrogram, and what is left of it below 6 dB.

    The background of a row is its mean level, opened along the rows by a Gaussian, so that peaks are not part of it.

    Parameters
    ----------
    levels
        Decibels above the floor, ``[rows, frames]``, at least 0.

    Returns
    -------
    float64 ``[rows, frames]``
    """
    from scipy.ndimage import grey_opening
    from scipy.signal.windows import gaussian

    levels = np.asarray(levels, np.float64)
    means = levels.mean(axis=1)
    profile = grey_opening(means, structure=gaussian(_BACKGROUND_ROWS, _BACKGROUND_SIGMA))
    profile[:2], profile[-2:] = means[:2], means[-2:]
    noise = np.where(profile == 0, np.finfo(np.float64).tiny, profile)[:, None]
    ratio = np.maximum(levels / noise, 0)
    kept = np.maximum(1 - 1 / (ratio + 1), 0) * levels
    return np.where(kept > _LEAST_DB, kept, 0)


def shape_features(image: np.ndarray, resolution: Resolution = "high") -> np.ndarray:
    """Measure how strongly an image answers to wavelets of several orientations and scales.

    Parameters
    ----------
    image
        ``[rows, frames]``; rows that are 0 all along, below and above the sound, are left out of the means.

    Returns
    -------
    float64 ``[count_shapes(resolution)]``, scale by scale from fine to coarse; NaN where a scale has no contrast.
    """
    image = np.asarray(image, np.float64)
    sounding = np.flatnonzero(image.any(axis=1))
    low, high = (sounding[2], sounding[-1]) if len(sounding) > 2 else (0, image.shape[0] - 1)
    features: list[float] = []
    for level in _pyramid(image, _LEVELS[resolution]):
        # The published mean is of answers brought to the size of the whole image; resizing is linear along each axis.
        rows = _weights(level.shape[0], image.shape[0], int(low), int(high))
        frames = _weights(level.shape[1], image.shape[1], 0, image.shape[1] - 1)
        features += [float(rows @ answer @ frames) for answer in _answers(level, resolution)]
    return np.array(features)


def frequency_features(image: np.ndarray, frequencies_hz: np.ndarray) -> dict[str, float]:
    """Measure where in frequency a region lies, from its mean spectrum, smoothed over 35 rows.

    Parameters
    ----------
    image
        Decibels ``[rows, frames]``.
    frequencies_hz
        ``[rows]``

    Returns
    -------
    ``peak_f``, and of all rows within 6 dB of the peak: ``bandwidth_min_f``, ``bandwidth_max_f``, ``bandwidth_f`` and
    ``centroid_f``, the middle. All in hertz.
    """
    from scipy.ndimage import uniform_filter1d

    spectrum = uniform_filter1d(
        (10 ** (np.asarray(image, np.float64) / 10)).mean(axis=1), _SMOOTHED_ROWS, mode="nearest"
    )
    near = np.flatnonzero(spectrum > spectrum.max() / 10 ** (_DOWN_DB / 10))
    low, high = float(frequencies_hz[near[0]]), float(frequencies_hz[near[-1]])
    return {
        "centroid_f": (low + high) / 2,
        "peak_f": float(frequencies_hz[spectrum.argmax()]),
        "bandwidth_f": high - low,
        "bandwidth_min_f": low,
        "bandwidth_max_f": high,
    }


@lru_cache(maxsize=4)
def _kernels(resolution: Resolution) -> tuple[np.ndarray, ...]:
    """Complex Gabor wavelets without a constant part, orientation by orientation."""
    turns = np.arange(_ORIENTATIONS[resolution]) / _ORIENTATIONS[resolution] * np.pi
    return tuple(_kernel(frequency, turn) for turn in turns for frequency in _FREQUENCIES)


def _kernel(frequency: float, turn: float) -> np.ndarray:
    octaves = 2.0**_BANDWIDTH
    across = np.sqrt(np.log(2) / 2) * (octaves + 1) / (octaves - 1) / np.pi / frequency
    along = across / _ELONGATION
    cos, sin = np.cos(turn), np.sin(turn)
    reach_x = np.ceil(max(abs(_SIGMAS * along * cos), abs(_SIGMAS * across * sin), 1))
    reach_y = np.ceil(max(abs(_SIGMAS * across * cos), abs(_SIGMAS * along * sin), 1))
    y, x = np.mgrid[-reach_y : reach_y + 1, -reach_x : reach_x + 1]
    turned_x, turned_y = x * cos + y * sin, -x * sin + y * cos
    bell = np.exp(-0.5 * ((turned_x / along) ** 2 + (turned_y / across) ** 2)) / (2 * np.pi * along * across)
    wave = bell * np.exp(2j * np.pi * frequency * turned_x)
    return np.asarray(wave - wave.sum() / bell.sum() * bell)


def _answers(image: np.ndarray, resolution: Resolution) -> list[np.ndarray]:
    """The size of what each wavelet gives, of an image with mean 0 and standard deviation 1; edges reflect."""
    from scipy.fft import fft2, ifft2, next_fast_len

    spread = image.std()
    if not spread > 0:
        return [np.full(image.shape, np.nan)] * len(_kernels(resolution))
    kernels = _kernels(resolution)
    reach = max(max(kernel.shape) for kernel in kernels) // 2
    rows, frames = image.shape
    padded = np.pad((image - image.mean()) / spread, reach, mode="symmetric")
    shape = [next_fast_len(size + 2 * reach) for size in padded.shape]
    spectrum = fft2(padded, shape)
    answers = []
    for kernel in kernels:
        back_y, back_x = (size // 2 + reach for size in kernel.shape)
        whole = np.abs(ifft2(spectrum * fft2(kernel, shape)))
        answers.append(whole[back_y : back_y + rows, back_x : back_x + frames])
    return answers


def _pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """The image at ever half the size, until it is a single point."""
    from scipy.ndimage import gaussian_filter

    found = [image]
    while len(found) < levels and max(found[-1].shape) > 1:
        smooth = gaussian_filter(found[-1], 2 / 3, mode="reflect")
        found.append(_resized(smooth, (-(-smooth.shape[0] // 2), -(-smooth.shape[1] // 2))))
    return found + [found[-1]] * (levels - len(found))


def _weights(small: int, whole: int, low: int, high: int) -> np.ndarray:
    """How much each of ``small`` rows counts in the mean of rows ``low`` to ``high`` of an image of ``whole`` rows."""
    return np.asarray(_resized(np.eye(small), (whole, small))[low : high + 1].mean(axis=0))


def _resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate linearly between the middles of pixels."""
    from scipy.ndimage import zoom

    factors = [new / old for new, old in zip(shape, image.shape, strict=True)]
    return np.asarray(zoom(image, factors, order=1, mode="mirror", grid_mode=True))
