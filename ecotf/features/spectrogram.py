"""Spectrograms of sound: one set of numbers from one set of parameters, at any sample rate, whole or in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf._kernels import spectrogram as kernels
from ecotf.errors import ConfigError
from ecotf.features.configs import (
    WAVEGRAM_HOP,
    BandSpectrogramConfig,
    MelSpectrogramConfig,
    SpectrogramConfig,
    WavegramConfig,
)
from ecotf.features.mel import mel_edges, mel_weights
from ecotf.features.sampling import Sampling, periodic_window
from ecotf.features.streaming import SpectrogramStream, checked
from ecotf.features.threads import in_threads
from ecotf.registry import Registry

_MIN_ROWS = 4


class Spectrogram(Sampling):
    """A spectrogram ready for one sample rate. It has no state: one object serves many recordings and threads.

    Parameters and attributes are those of `Sampling`.
    """

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


FRONT_ENDS: Registry[Spectrogram] = Registry("front end")
"""All front ends; an entry makes a `Spectrogram` from its config and a sample rate."""


@FRONT_ENDS.register(BandSpectrogramConfig)
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


@FRONT_ENDS.register(MelSpectrogramConfig)
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

    @property
    def preemphasis(self) -> float:
        """As the config says."""
        return self.config.preemphasis

    def _window(self) -> NDArray[np.float64]:
        """The shape, with zeros on both sides up to the length of the window."""
        config = self.config
        n = self.n_window if config.taper_s is None else round(config.taper_s * self.sample_rate)
        if n < 2:
            raise ConfigError(
                f"taper_s = {config.taper_s:g} is {n} samples at {self.sample_rate:g} Hz; allowed is at least 2"
            )
        shape = periodic_window(config.window, n - 1 if config.symmetric else n)
        if config.symmetric:
            shape = np.append(shape, shape[0])
        before = (self.n_window - n) // 2
        return np.pad(shape, (before, self.n_window - n - before))


@FRONT_ENDS.register(WavegramConfig)
class WavegramSpectrogram(MelSpectrogram):
    """The mel spectrogram beside a wavegram; the network makes both (`ecotf.models.front_ends`)."""

    config: WavegramConfig

    def _plan(self) -> Any:
        if self.hop != WAVEGRAM_HOP:
            raise ConfigError(
                f"wavegram_logmel: hop_s = {self.config.hop_s:g} is {self.hop} samples at {self.sample_rate} Hz; a "
                f"wavegram has a frame every {WAVEGRAM_HOP} samples, hop_s = {WAVEGRAM_HOP / self.sample_rate:g}"
            )
        return super()._plan()


def build_spectrogram(config: SpectrogramConfig, sample_rate: int) -> Spectrogram:
    """Make the spectrogram that a config describes, for one sample rate.

    Raises
    ------
    ConfigError
        As `Sampling`; the config is of no front end.

    Examples
    --------
    >>> config = BandSpectrogramConfig(window_s=0.002, hop_s=0.0005, low_hz=10_000, high_hz=120_000)
    >>> build_spectrogram(config, 384_000).n_rows
    220
    """
    return FRONT_ENDS.build(config, sample_rate)


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
