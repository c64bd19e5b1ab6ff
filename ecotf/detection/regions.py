"""Regions of interest in a spectrogram: what stands out of the background, joined where it lies close together.

The numbers are those of ``extract_rois_full_sig`` in bambird on scikit-maad, which made the Darksound data set.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.features import BandSpectrogramConfig, build_spectrogram

if TYPE_CHECKING:
    from ecotf.features import Spectrogram


class RegionConfig(Config):
    """How regions are found.

    Attributes
    ----------
    low_hz, high_hz
        The band that is looked at.
    n_fft, overlap
        Samples of an analysis window, and the share of it that the next one covers again.
    range_db
        Levels lie between full scale and so many decibels below it.
    background_rows
        Each row loses its median over time; the medians are averaged over so many rows.
    high_db, low_db
        A region reaches as far as it is louder than ``low_db``, and somewhere it is louder than ``high_db``.
    join_s, join_hz
        Regions are joined across gaps of twice this length and height.
    most_ratio
        A region that is so many times as high as it is wide, in rows and frames, is left out, since it is a click, wind
        or rain; None leaves none out.
    least_s
        A region that is not longer than this is left out.
    """

    low_hz: float = Field(250.0, ge=0)
    high_hz: float = Field(5000.0, gt=0)
    n_fft: int = Field(1024, ge=16, le=65536)
    overlap: float = Field(0.5, ge=0, lt=1)
    range_db: float = Field(96.0, gt=0, le=370)
    background_rows: int = Field(10, ge=1)
    high_db: float = Field(26.0, gt=0)
    low_db: float = Field(10.0, gt=0)
    join_s: float = Field(0.2, ge=0)
    join_hz: float = Field(250.0, ge=0)
    most_ratio: float | None = Field(7.0, gt=0)
    least_s: float = Field(0.2, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> RegionConfig:
        if self.low_hz >= self.high_hz:
            raise ValueError(f"low_hz = {self.low_hz:g} must be below high_hz = {self.high_hz:g}")
        if self.low_db > self.high_db:
            raise ValueError(f"low_db = {self.low_db:g} must not be above high_db = {self.high_db:g}")
        return self


@lru_cache(maxsize=8)
def level_spectrogram(
    sample_rate: int, n_fft: int, overlap: float, low_hz: float, high_hz: float, range_db: float
) -> Spectrogram:
    """Make a spectrogram in decibels of full scale whose rows lie between ``low_hz`` and ``high_hz``.

    The power is that of ``maad.sound.spectrogram``: the density times the distance between rows.

    Raises
    ------
    ConfigError
        The band reaches above half the sample rate, or has too few rows.
    """
    step_hz = sample_rate / n_fft
    first, last = math.ceil(low_hz / step_hz - 1e-9), math.floor(high_hz / step_hz + 1e-9)
    if last == n_fft // 2:
        last -= 1  # the row at half the sample rate is left out, as published
    config = BandSpectrogramConfig(
        window_s=n_fft / sample_rate, hop_s=max(1, n_fft - round(n_fft * overlap)) / sample_rate,
        low_hz=first * step_hz, high_hz=(last + 1) * step_hz, gain=math.sqrt(step_hz), scale="db",
        floor_db=-range_db, smooth_sigma=0.0,
    )  # fmt: skip
    return build_spectrogram(config, sample_rate)


def above_background(levels: np.ndarray, rows: int) -> np.ndarray:
    """Take the background away: the median of each row over time, averaged over neighbouring rows.

    Parameters
    ----------
    levels
        Decibels ``[frames, rows]``.
    rows
        How many rows are averaged; the edges repeat.

    Returns
    -------
    float32 ``[frames, rows]``, at least 0.
    """
    from scipy.ndimage import uniform_filter1d

    background = uniform_filter1d(np.median(levels, axis=0), rows, mode="nearest")
    return np.maximum(levels - background, 0).astype(np.float32)


def find_regions(sound: np.ndarray, sample_rate: int, config: RegionConfig) -> list[tuple[float, float, float, float]]:
    """Find the regions of interest in some seconds of sound.

    Parameters
    ----------
    sound
        ``[samples]``, without its low and high frequencies; the background is measured over the whole of it.

    Returns
    -------
    ``start_s, end_s, low_hz, high_hz`` of each region, by start: middles of frames and rows.

    Raises
    ------
    ConfigError
        The band reaches above half the sample rate.

    Examples
    --------
    >>> t = np.arange(3 * 22050) / 22050
    >>> noise = np.random.default_rng(0).normal(0, 1e-3, len(t))
    >>> call = 0.1 * np.sin(2 * np.pi * 2000 * t) * np.where((t > 1) & (t < 2), np.sin(np.pi * t) ** 2, 0)
    >>> [[round(x, 1) for x in region] for region in find_regions(noise + call, 22050, RegionConfig())]
    [[1.0, 2.0, 1916.5, 2088.7]]
    """
    spectrogram = level_spectrogram(
        sample_rate, config.n_fft, config.overlap, config.low_hz, config.high_hz, config.range_db
    )
    if spectrogram.n_frames(len(sound)) < 2:
        return []
    levels = np.minimum(spectrogram(np.asarray(sound, np.float32)), 0) + config.range_db
    mask = hysteresis(above_background(levels, config.background_rows), config.high_db, config.low_db)
    step_hz = spectrogram.frequencies_hz[1] - spectrogram.frequencies_hz[0]
    boxes = joined_boxes(mask, round(config.join_s / spectrogram.hop_s), round(config.join_hz / step_hz))
    first, last, low, high = boxes.T
    wide, tall = last - first, high - low
    keep = (wide > 0) & (tall > 0) & (wide * spectrogram.hop_s > config.least_s)
    if config.most_ratio is not None:
        keep &= tall < config.most_ratio * wide
    times = spectrogram.offset_s + np.stack([first, last], axis=1) * spectrogram.hop_s
    bands = spectrogram.frequencies_hz[np.stack([low, high], axis=1)]
    return sorted(map(tuple, np.concatenate([times, bands], axis=1)[keep].tolist()))


def hysteresis(values: np.ndarray, high: float, low: float) -> np.ndarray:
    """Mark what is above ``low`` and hangs together, also across corners, with something above ``high``; bool.

    Examples
    --------
    >>> hysteresis(np.array([[0, 3, 9, 0, 3, 3, 0]]), 5, 2).astype(int).tolist()
    [[0, 1, 1, 0, 0, 0, 0]]
    """
    from scipy.ndimage import label

    parts, count = label(values > low, structure=np.ones((3, 3)))
    loud = np.zeros(count + 1, bool)
    loud[parts[values > high]] = True
    loud[0] = False
    return np.asarray(loud[parts])


def joined_boxes(mask: np.ndarray, frames: int, rows: int) -> np.ndarray:
    """Join what lies close together, and put a box around each part.

    Parameters
    ----------
    mask
        bool ``[frames, rows]``
    frames, rows
        Gaps of up to twice so many frames and rows are closed.

    Returns
    -------
    int ``[n, 4]``: first and last frame, lowest and highest row; the edges are inside of the box.

    Examples
    --------
    >>> mask = np.zeros((14, 6), bool)
    >>> mask[[3, 4, 7, 11], [2, 2, 2, 3]] = True
    >>> joined_boxes(mask, 1, 1).tolist()
    [[3, 7, 2, 2], [11, 11, 3, 3]]
    """
    from scipy.ndimage import find_objects, label, maximum_filter, minimum_filter

    if frames or rows:
        size = (2 * frames + 1, 2 * rows + 1)
        mask = minimum_filter(maximum_filter(mask, size), size)  # edges reflect, as in skimage.morphology.closing
    parts, _ = label(mask, structure=np.ones((3, 3)))
    boxes = [(t.start, t.stop - 1, f.start, f.stop - 1) for t, f in find_objects(parts)]
    return np.array(boxes, np.int64).reshape(-1, 4)
