"""Candidates of whole recordings whose spectrograms are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecotf.detection.candidates import CandidateFinder, DetectionConfig
from ecotf.detection.scoring import PatchDetector, Stopwatch
from ecotf.features.peaks import PeakConfig
from ecotf.pipelines.spectrogram_store import StoredSpectrogram

if TYPE_CHECKING:
    import pandas as pd

_PIECE = 4096


def candidates_of(
    spectrogram: StoredSpectrogram,
    detector: PatchDetector,
    config: DetectionConfig,
    peaks: PeakConfig,
    stopwatch: Stopwatch | None = None,
) -> pd.DataFrame:
    """Find all candidates of one recording; columns as `CandidateFinder.candidates`."""
    values = spectrogram.values
    pieces = (values[at : at + _PIECE] for at in range(0, len(values), _PIECE))
    return CandidateFinder(detector, config, peaks, spectrogram).candidates(pieces, stopwatch)
