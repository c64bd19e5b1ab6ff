"""Settings of a spectrogram, in seconds and hertz, for the kernels and the Keras layer."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ecotf.config import Config

Scale = Literal["log1p", "db", "ln", "power", "pcen"]


class PcenConfig(Config):
    """Per-channel energy normalisation: (E / (eps + M) ** gain + bias) ** power - bias ** power.

    M is a running average of the band's power E, which begins at 1 (Wang et al., ICASSP 2017, as in librosa.pcen).

    Attributes
    ----------
    time_constant_s
        How long the average remembers.
    """

    time_constant_s: float = Field(0.4, gt=0, allow_inf_nan=False)
    gain: float = Field(0.98, ge=0, le=2)
    bias: float = Field(2.0, gt=0, allow_inf_nan=False)
    power: float = Field(0.5, gt=0, le=2)
    eps: float = Field(1e-6, gt=0, allow_inf_nan=False)


class SpectrogramConfig(Config):
    """The settings that all spectrograms share.

    Attributes
    ----------
    rows
        Whether rows are equally far apart in hertz or in mel.
    window_s, hop_s
        Length of the analysis window, and from one frame to the next.
    window
        Shape of the window (periodic, as in scipy.signal.get_window).
    low_hz, high_hz
        The band.
    centred, padding
        Whether frame i is centred on ``i * hop_s``, by adding half a window at both ends: the sound mirrored
        (``reflect``), or silence (``constant``). Otherwise frame i begins there, and nothing is added.
    gain
        Factor on samples in [-1, 1] before the power; 32768 gives the numbers of raw 16-bit samples.
    power
        ``density``: P = 2 / (rate * sum(window ** 2)) * |X| ** 2, the one-sided power spectral density, per hertz, so
        that recordings at different rates agree. ``plain``: P = |X| ** 2, as in librosa and torchaudio.
    scale
        ``log1p``: ln(1 + P). ``db``: 10 log10(max(P, floor)). ``ln``: ln(max(P, floor)). ``power``: P itself.
        ``pcen``: every band against its own slow average.
    floor_db
        The floor of ``db`` and ``ln``: 10 log10 of the least power.
    denoise
        What each row loses over a block: nothing, its ``mean``, its ``median``, or, ``published`` (UCLouvain, IDA
        2022), its mean over frames whose mean level is above ``mask_level`` and over the others, separately. What is
        left is never below 0.
    smooth_sigma
        Width of a Gaussian along frames and rows, in frames and rows (ends reflect, cut at 4 sigma); 0 for none.
    block_s
        Denoising and smoothing are done over consecutive blocks of this length.
    in_graph
        Whether the network takes the sound itself and makes its image with layers of its own, some of which learn
        (`ecotf.models.front_ends`). It then takes clips of one length.
    """

    rows: ClassVar[Literal["hertz", "mel"]]
    in_graph: ClassVar[bool] = False

    name: str
    window_s: float = Field(gt=0, allow_inf_nan=False)
    hop_s: float = Field(gt=0, allow_inf_nan=False)
    window: Literal["hann", "hamming", "blackman"] = "hann"
    low_hz: float = Field(ge=0, allow_inf_nan=False)
    high_hz: float = Field(gt=0, allow_inf_nan=False)
    centred: bool = False
    padding: Literal["reflect", "constant"] = "reflect"
    gain: float = Field(1.0, gt=0, allow_inf_nan=False)
    power: Literal["density", "plain"] = "density"
    scale: Scale = "log1p"
    floor_db: float = Field(-150.0, ge=-370, le=370)  # within what float32 power can hold
    pcen: PcenConfig = PcenConfig.model_validate({})
    denoise: Literal["none", "mean", "median", "published"] = "none"
    mask_level: float = Field(0.5, allow_inf_nan=False)
    smooth_sigma: float = Field(0.0, ge=0, le=100)
    block_s: float = Field(0.4, gt=0, allow_inf_nan=False)

    def seen(self, frames: int, bands: int) -> tuple[int, int]:
        """Return how many frames and bands the backbone sees of a spectrogram of so many."""
        return frames, bands


class BandSpectrogramConfig(SpectrogramConfig):
    """Levels of the frequencies from ``low_hz`` to ``high_hz`` over time.

    Rows are 1 / window_s apart; the row at high_hz is the first that is left out.
    """

    rows: ClassVar[Literal["hertz", "mel"]] = "hertz"

    name: Literal["band_spectrogram"] = "band_spectrogram"
    smooth_sigma: float = Field(1.0, ge=0, le=100)


class MelSpectrogramConfig(SpectrogramConfig):
    """Levels of triangular bands that are equally wide on the mel scale, from ``low_hz`` to ``high_hz``.

    Attributes
    ----------
    bands
        How many.
    mel_scale
        ``htk``: 2595 log10(1 + f / 700). ``slaney``: linear up to 1 kHz, logarithmic above (Auditory Toolbox).
        ``kaldi``: as ``htk``, with triangles that are straight over mel, not over hertz, as in Kaldi and torchaudio.
    band_norm
        ``slaney``: each triangle has area 1 over hertz. ``none``: each has height 1.
    taper_s
        Length of the window's shape, in the middle of ``window_s``; beyond it are zeros, so that the frequency bins
        lie closer together than the shape alone would give. By default all of ``window_s``.
    symmetric
        The shape ends with the number that it begins with (PyTorch's ``periodic=False``); otherwise it is periodic.
    preemphasis
        Every sample loses this part of the sample before it, so that high frequencies count more; speech: 0.97. The
        first sample has none before it and is left out.
    """

    rows: ClassVar[Literal["hertz", "mel"]] = "mel"

    name: Literal["mel_spectrogram"] = "mel_spectrogram"
    bands: int = Field(gt=0, le=1024)
    mel_scale: Literal["htk", "slaney", "kaldi"] = "htk"
    band_norm: Literal["slaney", "none"] = "slaney"
    scale: Scale = "db"
    taper_s: float | None = Field(None, gt=0, allow_inf_nan=False)
    symmetric: bool = False
    preemphasis: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _taper_lies_inside(self) -> MelSpectrogramConfig:
        if self.taper_s is not None and self.taper_s > self.window_s:
            raise ValueError(f"taper_s = {self.taper_s:g}: allowed is at most window_s = {self.window_s:g}")
        return self


class WavegramConfig(MelSpectrogramConfig):
    """A mel spectrogram and, beside it, a wavegram: layers over the sound that learn (Kong et al. 2020, PANNs).

    Both go through a first block of convolutions that halves them, so that a backbone ``cnn14`` goes on with
    ``first_block: false``. The hop must be `WAVEGRAM_HOP` samples.

    Attributes
    ----------
    width
        Factor on all numbers of filters; 1 as published.
    """

    in_graph: ClassVar[bool] = True

    name: Literal["wavegram_logmel"] = "wavegram_logmel"  # type: ignore[assignment]
    width: float = Field(1.0, gt=0, le=4)

    def seen(self, frames: int, bands: int) -> tuple[int, int]:
        """Return how many frames and bands the backbone sees of a spectrogram of so many."""
        return (frames - 1) // 2, bands // 2


WAVEGRAM_HOP = 320
"""Samples from one frame of a wavegram to the next: every 5th sample is looked at, and 64 of those make a frame."""
