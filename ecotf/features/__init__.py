"""From sound to spectrograms."""

from ecotf.features.spectrogram import BandSpectrogram, BandSpectrogramConfig, BandSpectrogramStream

__all__ = ["BandSpectrogram", "BandSpectrogramConfig", "BandSpectrogramStream"]
