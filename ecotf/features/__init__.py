"""From sound to spectrograms, and from spectrograms to what networks take."""

from ecotf.features.configs import (
    AnySpectrogramConfig,
    BandSpectrogramConfig,
    MelSpectrogramConfig,
    PcenConfig,
    SpectrogramConfig,
)
from ecotf.features.delta import delta
from ecotf.features.resize import resize
from ecotf.features.scaling import decibels, denoised, min_max, standardised
from ecotf.features.separation import harmonic_percussive
from ecotf.features.spectrogram import BandSpectrogram, MelSpectrogram, Spectrogram, build_spectrogram
from ecotf.features.streaming import SpectrogramStream

__all__ = [
    "AnySpectrogramConfig",
    "BandSpectrogram",
    "BandSpectrogramConfig",
    "MelSpectrogram",
    "MelSpectrogramConfig",
    "PcenConfig",
    "Spectrogram",
    "SpectrogramConfig",
    "SpectrogramStream",
    "build_spectrogram",
    "decibels",
    "delta",
    "denoised",
    "harmonic_percussive",
    "min_max",
    "resize",
    "standardised",
]
