"""The parameters of a spectrogram at one sample rate: seconds and hertz become samples and rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf.errors import ConfigError
from ecotf.features.configs import SpectrogramConfig

_MIN_WINDOW = 4
# Weights of the cosines that make a window; those of scipy.signal.get_window, to the bit.
_COSINES = {"hann": (0.5, 0.5), "hamming": (0.54, 1 - 0.54), "blackman": (0.42, 0.5, 0.08)}


class Sampling:
    """A spectrogram's parameters at one sample rate: its windows in samples, its rows in hertz, its filters.

    Parameters
    ----------
    config
        What to compute.
    sample_rate
        Of the sound that will come, in real time (a time-expanded recording: the rate of the ultrasound).

    Attributes
    ----------
    n_window, hop
        Samples per window, and from one frame to the next.
    hop_s
        Seconds from one frame to the next: ``hop / sample_rate``, near ``config.hop_s``.
    offset_s
        Time of the middle of frame 0.
    n_rows
        Rows, the same number for every rate.
    frequencies_hz
        float64 [n_rows], ascending: the middle of each row.
    block_frames
        Frames per block. Blocks begin at the start of the recording; a tail shorter than half a block joins the last.

    Raises
    ------
    ConfigError
        The band reaches above half the sample rate or has too few rows; the window or the hop is too short.
    """

    n_rows: int
    frequencies_hz: NDArray[np.float64]

    def __init__(self, config: SpectrogramConfig, sample_rate: int) -> None:
        self.config = config
        self.sample_rate = sample_rate
        if not sample_rate > 0:
            raise ConfigError(f"sample rate {sample_rate} Hz: must be above 0")
        # cut off, as published: 891 samples at 384 kHz, not 892
        self.n_window = int(config.window_s * sample_rate + 1e-9)
        self.hop = round(config.hop_s * sample_rate)
        self.hop_s = self.hop / sample_rate
        self._check_times()
        self.edge = self.n_window // 2 if config.centred else 0
        self.offset_s = (self.n_window / 2 - self.edge) / sample_rate
        self.block_frames = 4 * max(1, round(config.block_s / config.hop_s / 4))
        self.plan = self._plan()

    def _check_times(self) -> None:
        config, rate = self.config, self.sample_rate
        if config.low_hz >= config.high_hz:
            raise ConfigError(f"low_hz = {config.low_hz:g} must be below high_hz = {config.high_hz:g}")
        if config.high_hz > rate / 2:
            raise ConfigError(
                f"the band up to {config.high_hz:g} Hz needs a sample rate of at least {2 * config.high_hz:g} Hz; "
                f"this is {rate:g} Hz"
            )
        if self.n_window < _MIN_WINDOW:
            raise ConfigError(
                f"window_s = {config.window_s:g} is {self.n_window} samples at {rate:g} Hz; "
                f"at least {_MIN_WINDOW} are needed"
            )
        if self.hop < 1:
            raise ConfigError(f"hop_s = {config.hop_s:g} is less than one sample at {rate:g} Hz")

    def _plan(self) -> Any:
        raise NotImplementedError

    @cached_property
    def analysis_window(self) -> NDArray[np.float64]:
        """[n_window], with the factor that gives |X| ** 2 the unit of ``config.power``."""
        window = self._window()
        unit = np.sqrt(2 / (self.sample_rate * np.sum(window**2))) if self.config.power == "density" else 1.0
        return np.asarray(window * self.config.gain * unit)

    def _window(self) -> NDArray[np.float64]:
        return periodic_window(self.config.window, self.n_window)

    @property
    def preemphasis(self) -> float:
        """The part of the sample before that every sample loses first; 0 for none."""
        return 0.0

    @cached_property
    def pcen_pace(self) -> float:
        """How far the average of ``pcen`` goes towards a new frame's power."""
        frames = self.config.pcen.time_constant_s / self.hop_s
        return float((np.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2))

    @cached_property
    def smoothing(self) -> NDArray[np.float32]:
        """The right half of the smoothing kernel, its middle first; it ends at 4 sigma, as in scipy.ndimage."""
        sigma = self.config.smooth_sigma
        radius = int(4 * sigma + 0.5)
        if radius == 0:
            return np.ones(1, np.float32)
        weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
        return (weights / (2 * weights.sum() - 1)).astype(np.float32)

    def n_frames(self, n_samples: int) -> int:
        """Frames in a recording of so many samples; samples at the end that do not fill a frame are left out.

        Frame i covers samples i * hop to i * hop + n_window, or, if centred, half a window to both sides of i * hop.
        """
        if self.preemphasis:
            n_samples -= 1  # the first has none before it
        if n_samples < 1:
            return 0
        return max(0, (n_samples + 2 * self.edge - self.n_window) // self.hop + 1)


def periodic_window(name: str, n: int) -> NDArray[np.float64]:
    """Make a periodic window of ``n`` samples: ``hann``, ``hamming`` or ``blackman``; float64 [n].

    The numbers are those of ``scipy.signal.get_window``, which takes a second to load.
    """
    angles = np.linspace(-np.pi, np.pi, n + 1)
    window = np.zeros(n + 1)
    for order, weight in enumerate(_COSINES[name]):
        window += weight * np.cos(order * angles)
    return window[:-1]
