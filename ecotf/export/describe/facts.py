"""What ``model.json`` says: every number that a recorder needs, resolved for its sample rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ecotf.detection.segments import frame_length_s, frames_in_segment, margin_of
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.sound import CHUNK_FRAMES, samples_of
from ecotf.export.stages.stage import Stage
from ecotf.export.stages.tagger import window_samples
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.models.detector import Detector
from ecotf.models.tagger import ClipModel
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.run import SHORTEST_S


def detector_facts(detector: Detector, recipe: CallRecipe, settings: ExportSettings) -> dict[str, Any]:
    """Front end, peaks, patches and detection of a detector at peaks."""
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
        "peaks": recipe.peaks.model_dump(mode="json"),
        "patches": {
            "slices": detector.patches.slices(recipe.front_end.hop_s),
            "reduce_time": detector.patches.reduce_time,
            "reduce_frequency": detector.patches.reduce_frequency,
            "resize": detector.patches.resize,
            "columns": columns,
            "bands": bands,
            "width_s": detector.patches.width_s,
        },
        "detection": recipe.detection.model_dump(mode="json"),
        "cascade": detector.is_cascade,
        "measures": detector.needs_measures,
    }


def clip_facts(model: ClipModel, recipe: ClipRecipe, stages: Sequence[Stage]) -> dict[str, Any]:
    """Rows, the window around each, and what becomes of the frames in it."""
    rows, samples = recipe.inference, window_samples(model, recipe.inference)
    logits = next(stage for stage in stages if stage.name == "rows").inputs
    frames: list[float] = []
    step = 0.0
    if "frame_logits" in logits:
        n_frames = logits["frame_logits"].shape[1]
        length = frame_length_s(model, samples, n_frames)
        first, last = frames_in_segment(model, rows, length, n_frames)
        frames = ((np.arange(first, last) + 0.5) * length - margin_of(model, rows) / model.sample_rate).tolist()
        step = float(np.diff(frames).mean()) if len(frames) > 1 else rows.segment_s
    return {
        "species": list(model.classes),
        "shortest_s": SHORTEST_S,
        "band_hz": [model.front_end.low_hz, model.front_end.high_hz],
        "window": {
            "samples": samples,
            "segment_samples": round(rows.segment_s * model.sample_rate),
            "margin_samples": margin_of(model, rows),
            "segment_s": rows.segment_s,
            "frames": len(frames),
            "frame_times_s": frames,
            "frame_s": step,
            "score": rows.score,
            "ends": rows.ends,
        },
        "report": rows.report,
        "events": rows.events.model_dump(mode="json"),
    }
