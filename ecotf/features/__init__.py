"""From sound to spectrograms, and from spectrograms to what networks take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecotf.features.configs import (
    BandSpectrogramConfig,
    MelSpectrogramConfig,
    PcenConfig,
    SpectrogramConfig,
    WavegramConfig,
)
from ecotf.features.delta import delta
from ecotf.features.resize import resize
from ecotf.features.scaling import decibels, denoised, min_max, standardised
from ecotf.features.separation import harmonic_percussive
from ecotf.features.spectrogram import FRONT_ENDS, BandSpectrogram, MelSpectrogram, Spectrogram, build_spectrogram
from ecotf.features.streaming import SpectrogramStream

if TYPE_CHECKING:
    BandFrontEnd = BandSpectrogramConfig
    MelFrontEnd = MelSpectrogramConfig
else:
    BandFrontEnd = FRONT_ENDS.config_type(rows="hertz")
    MelFrontEnd = FRONT_ENDS.config_type(rows="mel")

__all__ = [
    "FRONT_ENDS",
    "BandFrontEnd",
    "BandSpectrogram",
    "BandSpectrogramConfig",
    "MelFrontEnd",
    "MelSpectrogram",
    "MelSpectrogramConfig",
    "PcenConfig",
    "Spectrogram",
    "SpectrogramConfig",
    "SpectrogramStream",
    "WavegramConfig",
    "build_spectrogram",
    "decibels",
    "delta",
    "denoised",
    "harmonic_percussive",
    "min_max",
    "resize",
    "standardised",
]
