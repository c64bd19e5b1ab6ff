"""Models for the recorder without TFLite, and the recorder's package on the path.

They answer what a device model answers, from the desktop's own parts, so that everything the recorder does itself can
be held against the desktop, for every recipe and without an export.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "deploy" / "recorder"))

RATE = 256_000
NOON = 1_782_043_200.0  # 2026-06-21T12:00Z


def right_since_2020(wall: float) -> str:
    """A clock that was synchronised once it is past 2020, whatever the machine of the tests says."""
    return "synchronised" if wall > 1577836800.0 else ""


class StandIn:
    """A device model made of the desktop's parts.

    Parameters
    ----------
    run
        A `CallsRun`, or anything with ``recipe``, ``detector`` and ``thresholds``.
    """

    def __init__(self, run: Any, rate: int = RATE, takes: str = "int16", chunk_frames: int = 160) -> None:
        from ecotf_recorder.facts import read_facts

        from ecotf.features.spectrogram import BandSpectrogram

        recipe, self.detector = run.recipe, run.detector
        made = BandSpectrogram(recipe.front_end, rate)
        self._plain = BandSpectrogram(
            recipe.front_end.model_copy(update={"denoise": "none", "smooth_sigma": 0.0}), rate
        )
        patches = recipe.patches
        self.description = {
            "format": 2, "name": "bats/stand_in", "run": "2026-01-01_00-00-00", "precision": "f32", "kind": "peaks",
            "sample_rate_hz": rate, "input": takes, "species": list(self.detector.species),
            "thresholds": dict(run.thresholds), "unnamed": True, "cascade": self.detector.is_cascade,
            "measures": self.detector.needs_measures,
            "front_end": {
                "hop": made.hop, "n_window": made.n_window, "hop_s": made.hop_s, "offset_s": made.offset_s,
                "rows": made.n_rows, "frequencies_hz": made.frequencies_hz.tolist(), "chunk_frames": chunk_frames,
                "chunk_samples": (chunk_frames - 1) * made.hop + made.n_window, "block_frames": made.block_frames,
                "denoise": recipe.front_end.denoise, "mask_level": recipe.front_end.mask_level,
                "smoothing": made.smoothing.tolist(),
            },
            "peaks": recipe.peaks.model_dump(),
            "patches": {
                "slices": patches.slices(recipe.front_end.hop_s), "width_s": patches.width_s,
                "reduce_time": patches.reduce_time, "reduce_frequency": patches.reduce_frequency,
                "resize": patches.resize,
            },
            "detection": recipe.detection.model_dump(),
        }  # fmt: skip
        self.facts = read_facts(json.dumps(self.description))
        self.id = "standinstand"

    def spectrogram(self, sound: np.ndarray) -> np.ndarray:
        assert sound.dtype == self.facts.takes
        assert len(sound) == self.facts.front_end.chunk_samples
        return self._plain(sound)

    def score(self, window: np.ndarray, measures: np.ndarray | None = None) -> np.ndarray:
        return self.detector.combine(self.detector.run(window), measures)[0]


class SegmentStandIn:
    """A device model of clips made of the desktop's parts.

    Parameters
    ----------
    run
        A `ClipsRun`.
    """

    def __init__(self, run: Any, takes: str = "float32") -> None:
        from ecotf_recorder.facts import read_facts

        from ecotf.export.settings import ExportSettings
        from ecotf.tasks.clips.export import ClipExport

        self._model, self._config = run.model, run.recipe.inference
        exported, settings = ClipExport(run), ExportSettings(rate=run.model.sample_rate, sound=takes)
        self.description = {
            "format": 2, "name": run.recipe.name, "run": "2026-01-01_00-00-00", "precision": "f32",
            "sample_rate_hz": settings.rate, "input": takes, "kind": "segments", **exported.facts(),
            **exported.plan(settings).facts,
        }  # fmt: skip
        self.facts = read_facts(json.dumps(self.description))
        self.id = "standinstand"

    def segment(self, sound: np.ndarray) -> dict[str, np.ndarray]:
        from scipy.special import expit

        from ecotf.detection.segments import score_windows
        from ecotf.export.prove.examples import as_float

        assert sound.dtype == self.facts.takes
        assert len(sound) == self.facts.samples
        scores, frames, _ = score_windows(self._model, self._config, as_float(sound[None]))
        return {"scores": expit(scores[0]), "frames": np.empty(0) if frames is None else expit(frames[0])}
