"""The gate: measure how far sound is above its running noise floor, so that parts without sound can be skipped.

The statistic is in decibels and comes from the spectrogram's levels before denoising, whatever their scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ecotf._kernels import events as kernels
from ecotf.config import Config
from ecotf.errors import ConfigError
from ecotf.features.configs import Scale
from ecotf.features.spectrogram import Spectrogram
from ecotf.features.streaming import whole_blocks

_DB = 10 / np.log(10)
_LEAST_POWER = 1e-20


class GateConfig(Config):
    """Settings of the gate. Off in training and evaluation; a user turns it on when classifying.

    The energy of a band is that of its strongest row, which, unlike a sum, is the same to within rounding whether the
    spectrogram is in decibels or in ln(1 + P).

    Attributes
    ----------
    band_hz
        Width of the bands that are compared with their own floor.
    rise_db_s, fall_db_s
        How fast a band's floor follows it, up and down, in dB a second. It begins at the median of the first block.
    calls_lost
        The share of the validation recordings' calls that the threshold may lose.
    """

    band_hz: float = Field(4000.0, gt=0, allow_inf_nan=False)
    rise_db_s: float = Field(10.0, gt=0, allow_inf_nan=False)
    fall_db_s: float = Field(20.0, gt=0, allow_inf_nan=False)
    calls_lost: float = Field(0.005, ge=0, lt=1)


class RunningGate:
    """How far the loudest band of every frame stands over its floor, for one recording.

    It works in the blocks that denoising works in, so how the frames come in pieces makes no difference.

    Raises
    ------
    ConfigError
        The spectrogram's levels are no energies (``scale: pcen``).
    """

    def __init__(self, config: GateConfig, spectrogram: Spectrogram) -> None:
        self._scale: Scale = spectrogram.config.scale
        if self._scale == "pcen":
            raise ConfigError("front_end.scale = pcen: the gate compares energies; allowed: db, ln, log1p, power")
        span_hz = spectrogram.config.high_hz - spectrogram.config.low_hz
        n_bands = min(spectrogram.n_rows, max(1, round(span_hz / config.band_hz)))
        self._edges = np.arange(n_bands + 1) * spectrogram.n_rows // n_bands
        self._steps = config.rise_db_s * spectrogram.hop_s, config.fall_db_s * spectrogram.hop_s
        self._block = spectrogram.block_frames
        self._bands: list[NDArray[np.float32]] = []  # levels of the bands, of frames whose block is not full
        self._pending = 0  # how many those are
        self._floor: NDArray[np.float32] | None = None

    def push(self, levels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Take more levels before denoising, float32 [frames, rows]; return dB over the floor of every full block."""
        if len(levels):
            self._bands.append(np.asarray(kernels.band_maxima(levels, self._edges)))
            self._pending += len(levels)
        full = whole_blocks(self._pending, self._block) // self._block
        return [self._compare(self._block) for _ in range(full)]

    def finish(self) -> list[NDArray[np.float32]]:
        """End the recording; return the last block, if frames are left for one."""
        return [self._compare(self._pending)] if self._pending else []

    def _compare(self, n_frames: int) -> NDArray[np.float32]:
        """Return how far the loudest band of each of the oldest ``n_frames`` is above its floor."""
        bands = np.concatenate(self._bands)
        self._bands = [bands[n_frames:]]
        self._pending -= n_frames
        decibels = to_decibels(bands[:n_frames], self._scale)
        if self._floor is None:
            self._floor = np.median(decibels, axis=0).astype(np.float32)
        return np.asarray(kernels.over_running_floor(decibels, self._floor, *self._steps))


def before_denoising(spectrogram: Spectrogram) -> Spectrogram:
    """Return the spectrogram whose levels the gate takes: the same, neither denoised nor smoothed."""
    plain = {"denoise": "none", "smooth_sigma": 0.0}
    return type(spectrogram)(spectrogram.config.model_copy(update=plain), spectrogram.sample_rate)


def to_decibels(levels: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """10 log10 of the power that levels of ``scale`` stand for, at least -200 dB; float32, of the same shape."""
    if scale == "db":
        return levels
    if scale == "ln":
        return levels * np.float32(_DB)
    power = np.expm1(levels) if scale == "log1p" else levels
    decibels: NDArray[np.float32] = np.float32(_DB) * np.log(np.maximum(power, np.float32(_LEAST_POWER)))
    return decibels
