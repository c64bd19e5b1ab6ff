"""The edges of the front end's bands, drawn anew for every batch."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.features import MelSpectrogram, MelSpectrogramConfig


class BandEdges(Config):
    """Where the lowest band begins and the highest ends changes from batch to batch (Schmid et al., ICASSP 2023).

    So all bands move a little, as they do between one animal, or one recorder, and the next.

    Attributes
    ----------
    low_hz
        The lowest band begins at most so much higher.
    high_hz
        The highest band ends at most so much lower or higher, within half the sample rate.
    """

    low_hz: float = Field(0.0, ge=0)
    high_hz: float = Field(0.0, ge=0)

    @property
    def moves(self) -> bool:
        """Whether anything changes."""
        return self.low_hz > 0 or self.high_hz > 0


def moved(spectrogram: MelSpectrogram, edges: BandEdges, rng: np.random.Generator) -> MelSpectrogram:
    """Make the same spectrogram with edges that are drawn."""
    config, rate = spectrogram.config, spectrogram.sample_rate
    low = config.low_hz + rng.uniform(0, edges.low_hz)
    high = min(config.high_hz + rng.uniform(-edges.high_hz, edges.high_hz), rate / 2)
    return MelSpectrogram(MelSpectrogramConfig(**{**config.model_dump(), "low_hz": low, "high_hz": high}), rate)
