"""What ``model.json`` says: every number that a recorder needs, resolved for its sample rate."""

from __future__ import annotations

from typing import Any

from ecotf.export.settings import ExportSettings
from ecotf.export.sound import CHUNK_FRAMES, samples_of
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.models.detector import Detector
from ecotf.recipe import Recipe


def detector_facts(detector: Detector, recipe: Recipe, settings: ExportSettings) -> dict[str, Any]:
    """Front end, pulses, windows and detection of a detector at pulses."""
    made = BandSpectrogram(recipe.front_end, settings.rate)
    columns, bands = detector.networks[0].model.input_shape[1:3]
    return {
        "species": list(detector.species),
        "front_end": {
            "hop": made.hop,
            "n_window": made.n_window,
            "hop_s": made.hop_s,
            "offset_s": made.offset_s,
            "rows": made.n_rows,
            "frequencies_hz": [float(frequency) for frequency in made.frequencies_hz],
            "chunk_frames": CHUNK_FRAMES,
            "chunk_samples": samples_of(made, CHUNK_FRAMES),
            "block_frames": made.block_frames,
            "block_samples": samples_of(made, made.block_frames),
            "denoise": recipe.front_end.denoise,
            "mask_level": recipe.front_end.mask_level,
            "smoothing": [float(weight) for weight in made.smoothing],
        },
        "pulses": recipe.pulses.model_dump(mode="json"),
        "windows": {
            "slices": detector.windows.slices(recipe.front_end.hop_s),
            "reduce_time": detector.windows.reduce_time,
            "reduce_frequency": detector.windows.reduce_frequency,
            "resize": detector.windows.resize,
            "columns": columns,
            "bands": bands,
            "width_s": detector.windows.width_s,
        },
        "detection": recipe.detection.model_dump(mode="json"),
        "cascade": detector.is_cascade,
        "measures": detector.needs_measures,
    }
