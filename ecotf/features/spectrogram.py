"""Spectrograms of sound: one set of numbers from one set of parameters, at any sample rate, whole or in blocks."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import get_window

from ecotf._kernels import spectrogram as kernels
from ecotf.errors import ConfigError
from ecotf.features.configs import BandSpectrogramConfig, MelSpectrogramConfig, SpectrogramConfig
from ecotf.features.mel import mel_edges, mel_weights
from ecotf.features.streaming import SpectrogramStream, checked
from ecotf.features.threads import in_threads

BandSpectrogramStream = SpectrogramStream  # one stream serves all spectrograms; the older name stays

_MIN_ROWS = 4
_MIN_WINDOW = 4


class Spectrogram:
    """A spectrogram ready for one sample rate. It has no state: one object serves many recordings and threads.

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
        window = get_window(self.config.window, self.n_window)
        unit = np.sqrt(2 / (self.sample_rate * np.sum(window**2))) if self.config.power == "density" else 1.0
        return np.asarray(window * self.config.gain * unit)

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
        if n_samples < 1:
            return 0
        return max(0, (n_samples + 2 * self.edge - self.n_window) // self.hop + 1)

    def __call__(
        self, sound: NDArray[Any], threads: int = 1, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Compute the whole spectrogram.

        Parameters
        ----------
        sound
            [n_samples], float in [-1, 1] or int16 (taken as sample / 32768).
        threads
            How many to use; the numbers do not depend on it.
        out
            float32 [n_frames, n_rows] to write into; saves the time that fresh memory takes.

        Returns
        -------
        float32 [n_frames, n_rows]
            Low frequencies first.

        Raises
        ------
        RecordingError
            A sample is NaN or infinite.
        """
        sound = checked(sound)
        out = _room(out, (self.n_frames(len(sound)), self.n_rows))
        SpectrogramStream(self, threads).whole(sound, out)
        return out

    def batch(
        self, sounds: NDArray[Any], threads: int = 1, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Compute the spectrograms of sounds of one length, [batch, n_samples]; float32 [batch, n_frames, n_rows]."""
        sounds = np.asarray(sounds)
        if sounds.ndim != 2:
            raise ValueError(f"sounds of shape {sounds.shape}: expected [batch, n_samples]")
        out = _room(out, (len(sounds), self.n_frames(sounds.shape[1]), self.n_rows))
        results = out
        in_threads(lambda i: self(sounds[i], out=results[i]), len(sounds), threads)
        return out

    def stream(self) -> SpectrogramStream:
        """Begin a recording that will come in blocks."""
        return SpectrogramStream(self)


class BandSpectrogram(Spectrogram):
    """The linear-frequency spectrogram of one band; see `Spectrogram`.

    Attributes
    ----------
    first_bin
        The frequency bin of the first row.
    """

    config: BandSpectrogramConfig

    def _plan(self) -> Any:
        config, rate = self.config, self.sample_rate
        self.n_rows = round((config.high_hz - config.low_hz) * config.window_s)
        if self.n_rows < _MIN_ROWS:
            raise ConfigError(
                f"the band from {config.low_hz:g} to {config.high_hz:g} Hz holds {self.n_rows} rows of "
                f"{1 / config.window_s:g} Hz; at least {_MIN_ROWS} are needed: widen the band or lengthen window_s"
            )
        # rounding can put the last row of a band that touches half the rate one bin above it
        self.first_bin = min(round(config.low_hz * config.window_s), self.n_window // 2 + 1 - self.n_rows)
        if self.first_bin < 0:
            raise ConfigError(
                f"the band from {config.low_hz:g} to {config.high_hz:g} Hz has {self.n_rows} rows; a window of "
                f"{self.n_window} samples gives {self.n_window // 2 + 1} up to {rate / 2:g} Hz"
            )
        self.frequencies_hz = np.arange(self.first_bin, self.first_bin + self.n_rows) * rate / self.n_window
        return kernels.SpectrogramPlan(self.analysis_window, self.first_bin, self.n_rows)


class MelSpectrogram(Spectrogram):
    """The mel spectrogram; see `Spectrogram`. Bands that hold no frequency bin stay empty, with a warning.

    Attributes
    ----------
    weights
        float64 [n_rows, n_window // 2 + 1]: the bands.
    """

    config: MelSpectrogramConfig

    def _plan(self) -> Any:
        self.n_rows = self.config.bands
        self.frequencies_hz = mel_edges(self.config)[1:-1]
        bins_hz = np.arange(self.n_window // 2 + 1) * self.sample_rate / self.n_window
        self.weights = mel_weights(self.config, bins_hz)
        used = np.flatnonzero(self.weights.any(axis=0))
        if not len(used):
            raise ConfigError(
                f"the band from {self.config.low_hz:g} to {self.config.high_hz:g} Hz holds no frequency bin: they are "
                f"{self.sample_rate / self.n_window:g} Hz apart; widen the band or lengthen window_s"
            )
        filters = [_filter(band, int(used[0])) for band in self.weights]
        return kernels.SpectrogramPlan(self.analysis_window, int(used[0]), int(used[-1] - used[0] + 1), filters)


def build_spectrogram(config: BandSpectrogramConfig | MelSpectrogramConfig, sample_rate: int) -> Spectrogram:
    """The spectrogram that a config describes, for one sample rate."""
    if isinstance(config, MelSpectrogramConfig):
        return MelSpectrogram(config, sample_rate)
    return BandSpectrogram(config, sample_rate)


def _filter(band: NDArray[np.float64], spare: int) -> tuple[int, NDArray[np.float64]]:
    """The first bin of a band, and its weights; of an empty band, bin ``spare`` times 0."""
    inside = np.flatnonzero(band)
    if not len(inside):
        return spare, np.zeros(1)
    return int(inside[0]), band[inside[0] : inside[-1] + 1]


def _room(out: NDArray[np.float32] | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if out is None:
        return np.empty(shape, np.float32)
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(f"out is {out.dtype} {out.shape}: expected a writeable, contiguous float32 {shape}")
    return out
