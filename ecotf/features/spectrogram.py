"""The linear-frequency spectrogram of one band: one set of numbers from one set of parameters, at any sample rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal import get_window

from ecotf._kernels import spectrogram as kernels
from ecotf.config import Config
from ecotf.errors import ConfigError, RecordingError

_SCALES = {"log1p": 0, "db": 1}
_DENOISE = {"none": 0, "mean": 1, "median": 2, "published": 3}
_MIN_ROWS = 4
_MIN_WINDOW = 4


class BandSpectrogramConfig(Config):
    """Levels of the frequencies from ``low_hz`` to ``high_hz`` over time.

    Attributes
    ----------
    window_s, hop_s
        Length of the analysis window, and from one frame to the next. Rows are 1 / window_s apart.
    window
        Shape of the window (periodic, as in scipy.signal.get_window).
    low_hz, high_hz
        The band; the row at high_hz is the first that is left out.
    gain
        Factor on samples in [-1, 1] before the power; 32768 gives the numbers of raw 16-bit samples.
    scale
        ``log1p``: ln(1 + P). ``db``: 10 log10(max(P, floor)). P = 2 / (rate * sum(window ** 2)) * |X| ** 2 is the
        one-sided power spectral density, per hertz, so that recordings at different rates agree.
    floor_db
        The floor of ``db``.
    denoise
        What each row loses over a block: nothing, its ``mean``, its ``median``, or, ``published`` (UCLouvain, IDA
        2022), its mean over frames whose mean level is above ``mask_level`` and over the others, separately. What is
        left is never below 0.
    smooth_sigma
        Width of a Gaussian along frames and rows, in frames and rows (ends reflect, cut at 4 sigma); 0 for none.
    block_s
        Denoising and smoothing are done over consecutive blocks of this length.
    """

    name: Literal["band_spectrogram"] = "band_spectrogram"
    window_s: float = Field(gt=0, allow_inf_nan=False)
    hop_s: float = Field(gt=0, allow_inf_nan=False)
    window: Literal["hann", "hamming", "blackman"] = "hann"
    low_hz: float = Field(ge=0, allow_inf_nan=False)
    high_hz: float = Field(gt=0, allow_inf_nan=False)
    gain: float = Field(1.0, gt=0, allow_inf_nan=False)
    scale: Literal["log1p", "db"] = "log1p"
    floor_db: float = Field(-150.0, ge=-370, le=370)  # within what float32 power can hold
    denoise: Literal["none", "mean", "median", "published"] = "none"
    mask_level: float = Field(0.5, allow_inf_nan=False)
    smooth_sigma: float = Field(1.0, ge=0, le=100)
    block_s: float = Field(0.4, gt=0, allow_inf_nan=False)


class BandSpectrogram:
    """A band spectrogram ready for one sample rate. It has no state: one object serves many recordings and threads.

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
    n_rows, first_bin
        Rows, the same number for every rate, and the frequency bin of the first.
    frequencies_hz
        float64 [n_rows], ascending.
    block_frames
        Frames per block. Blocks begin at the start of the recording; a tail shorter than half a block joins the last.

    Raises
    ------
    ConfigError
        The band reaches above half the sample rate or has too few rows; the window or the hop is too short.
    """

    def __init__(self, config: BandSpectrogramConfig, sample_rate: int) -> None:
        self.config = config
        self.sample_rate = sample_rate
        if not sample_rate > 0:
            raise ConfigError(f"sample rate {sample_rate} Hz: must be above 0")
        self.n_window = int(
            config.window_s * sample_rate + 1e-9
        )  # cut off, as published: 891 samples at 384 kHz, not 892
        self.hop = round(config.hop_s * sample_rate)
        self.hop_s = self.hop / sample_rate
        self.offset_s = self.n_window / 2 / sample_rate
        self.n_rows = round((config.high_hz - config.low_hz) * config.window_s)
        self.first_bin = round(config.low_hz * config.window_s)
        self._check()
        self.frequencies_hz: NDArray[np.float64] = (
            np.arange(self.first_bin, self.first_bin + self.n_rows) * sample_rate / self.n_window
        )
        self.block_frames = 4 * max(1, round(config.block_s / config.hop_s / 4))
        window = get_window(config.window, self.n_window)
        amplitude = config.gain * np.sqrt(2 / (sample_rate * np.sum(window**2)))
        self._plan = kernels.BandPlan(window * amplitude, self.first_bin, self.n_rows)
        self._taps = _gaussian(config.smooth_sigma)
        self._floor = 10 ** (config.floor_db / 10)

    def _check(self) -> None:
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
        if self.n_rows < _MIN_ROWS:
            raise ConfigError(
                f"the band from {config.low_hz:g} to {config.high_hz:g} Hz holds {self.n_rows} rows of "
                f"{1 / config.window_s:g} Hz; at least {_MIN_ROWS} are needed: widen the band or lengthen window_s"
            )
        # rounding can put the last row of a band that touches half the rate one bin above it
        self.first_bin = min(self.first_bin, self.n_window // 2 + 1 - self.n_rows)
        if self.first_bin < 0:
            raise ConfigError(
                f"the band from {config.low_hz:g} to {config.high_hz:g} Hz has {self.n_rows} rows; a window of "
                f"{self.n_window} samples gives {self.n_window // 2 + 1} up to {rate / 2:g} Hz"
            )

    def n_frames(self, n_samples: int) -> int:
        """Frames in a recording of so many samples: frame i covers samples i * hop to i * hop + n_window.

        Frames are not centred, and samples at the end that do not fill a frame are left out.
        """
        return max(0, (n_samples - self.n_window) // self.hop + 1)

    def __call__(self, sound: NDArray[Any]) -> NDArray[np.float32]:
        """Compute the whole spectrogram.

        Parameters
        ----------
        sound
            [n_samples], float in [-1, 1] or int16 (taken as sample / 32768).

        Returns
        -------
        float32 [n_frames, n_rows]
            Low frequencies first.

        Raises
        ------
        RecordingError
            A sample is NaN or infinite.
        """
        sound = _checked(sound)
        out = np.empty((self.n_frames(len(sound)), self.n_rows), np.float32)
        stream = BandSpectrogramStream(self)
        done = stream._push_into(sound, out)
        stream._finish_into(out[done:])
        return out

    def stream(self) -> BandSpectrogramStream:
        """Begin a recording that will come in blocks."""
        return BandSpectrogramStream(self)


class BandSpectrogramStream:
    """One recording in blocks of any size: together bit for bit the same frames as of the whole, in bounded memory."""

    def __init__(self, spectrogram: BandSpectrogram) -> None:
        self._made = spectrogram
        block = spectrogram.block_frames
        # a block is finished once it is sure that no short tail will join it
        self._levels = np.empty((block + block // 2, spectrogram._plan.row_stride), np.float32)
        self._pending = 0  # frames in _levels
        self._carry: NDArray[Any] = np.empty(0, np.float32)  # samples that later frames still need
        self._skip = 0  # samples still to be passed over before the next frame begins
        self._frames_done = 0

    def push(self, sound: NDArray[Any]) -> NDArray[np.float32]:
        """Take more sound, [n_samples]; return the frames that are finished, float32 [k, n_rows]."""
        sound = _checked(sound)
        made = self._made
        frames = self._pending + made.n_frames(max(0, len(self._carry) - self._skip + len(sound)))
        out = np.empty((_whole_blocks(frames, made.block_frames), made.n_rows), np.float32)
        self._push_into(sound, out)
        return out

    def finish(self) -> NDArray[np.float32]:
        """End the recording; return its last frames, float32 [k, n_rows]."""
        out = np.empty((self._pending, self._made.n_rows), np.float32)
        self._finish_into(out)
        return out

    def _push_into(self, sound: NDArray[Any], out: NDArray[np.float32]) -> int:
        """Write what is finished to the head of ``out``; return how many frames that is."""
        done = 0
        for part, start, n_frames in self._parts(sound):
            done += self._add(part, start, n_frames, out[done:])
        return done

    def _parts(self, sound: NDArray[Any]) -> Iterator[tuple[NDArray[Any], int, int]]:
        """Where the next frames lie: those that begin in the samples kept from before, then those in ``sound``."""
        made = self._made
        carry = self._carry
        if len(carry):
            if carry.dtype != sound.dtype:
                raise ValueError(f"one recording cannot change from {carry.dtype} to {sound.dtype} samples")
            joined = np.concatenate([carry, sound[: made.n_window - 1]])
            n_frames = min(made.n_frames(len(joined)), -(-len(carry) // made.hop))
            yield joined, 0, n_frames
            start = n_frames * made.hop
            if len(joined) == len(carry) + len(sound) and start < len(carry):
                self._carry = joined[start:]
                return
            self._skip = start - len(carry)
        n_frames = made.n_frames(len(sound) - self._skip)
        if n_frames:
            yield sound, self._skip, n_frames
        start = self._skip + n_frames * made.hop
        self._carry = sound[start:].copy()
        self._skip = max(0, start - len(sound))

    def _add(self, sound: NDArray[Any], start: int, n_frames: int, out: NDArray[np.float32]) -> int:
        """Compute ``n_frames`` more frames; finish every block that is sure. Returns the number of finished frames."""
        made = self._made
        done = 0
        while n_frames > 0:
            fresh = min(n_frames, len(self._levels) - self._pending)
            bad = made._plan.levels(
                sound, start, made.hop, fresh, self._levels[self._pending :], _SCALES[made.config.scale], made._floor
            )
            if bad >= 0:
                when = (self._frames_done + self._pending + bad) * made.hop_s
                raise RecordingError(f"a sample near {when:.3f} s is not a number (NaN or infinite)", "corrupt")
            start += fresh * made.hop
            n_frames -= fresh
            self._pending += fresh
            if self._pending == len(self._levels):
                done += self._finish_block(made.block_frames, out[done:])
        return done

    def _finish_into(self, out: NDArray[np.float32]) -> None:
        self._finish_block(self._pending, out)

    def _finish_block(self, n_frames: int, out: NDArray[np.float32]) -> int:
        """Denoise and smooth the oldest ``n_frames`` frames as one block into ``out``."""
        made = self._made
        config = made.config
        kernels.finish_block(
            self._levels, n_frames, made.n_rows, _DENOISE[config.denoise], config.mask_level, made._taps, out[:n_frames]
        )
        self._levels[: self._pending - n_frames] = self._levels[n_frames : self._pending]
        self._pending -= n_frames
        self._frames_done += n_frames
        return n_frames


def _whole_blocks(frames: int, block: int) -> int:
    """Of so many frames, those in blocks that no short tail can join any more."""
    return max(0, (frames - block // 2) // block) * block


def _checked(sound: NDArray[Any]) -> NDArray[Any]:
    sound = np.asarray(sound)
    if sound.ndim != 1:
        raise ValueError(f"sound of shape {sound.shape}: expected one channel, [n_samples]")
    if sound.dtype == np.int16:
        return np.ascontiguousarray(sound)
    if not np.issubdtype(sound.dtype, np.floating):
        raise ValueError(f"sound of {sound.dtype}: expected float32 or int16")
    return np.ascontiguousarray(sound, np.float32)


def _gaussian(sigma: float) -> NDArray[np.float32]:
    """The right half of a Gaussian kernel, its middle first; it ends at 4 sigma, as in scipy.ndimage."""
    radius = int(4 * sigma + 0.5)
    if radius == 0:
        return np.ones(1, np.float32)
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return (weights / (2 * weights.sum() - 1)).astype(np.float32)
