"""Candidates of whole recordings whose spectrograms are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecotf.detection.candidates import DetectionConfig, find_candidates
from ecotf.detection.scoring import Stopwatch
from ecotf.features.peaks import PeakConfig
from ecotf.models.detector import Detector
from ecotf.pipelines.spectrogram_store import StoredSpectrogram

if TYPE_CHECKING:
    import pandas as pd

_PIECE = 4096


def candidates_of(
    spectrogram: StoredSpectrogram,
    detector: Detector,
    config: DetectionConfig,
    peaks: PeakConfig,
    stopwatch: Stopwatch | None = None,
) -> pd.DataFrame:
    """All candidates of one recording; columns as `find_candidates`."""

    import pandas as pd

    values = spectrogram.values
    pieces = (values[at : at + _PIECE] for at in range(0, len(values), _PIECE))
    found = find_candidates(
        pieces,
        detector,
        config,
        peaks,
        spectrogram.hop_s,
        spectrogram.offset_s,
        spectrogram.frequencies_hz,
        stopwatch=stopwatch,
    )
    return pd.concat(list(found), ignore_index=True)
