"""Runs of task calls in an export: peaks in frames, or patches on a grid, as stages, facts and examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecotf.audio.channels import ChannelChoice
from ecotf.detection.naming import name_calls
from ecotf.errors import ConfigError, RecordingError
from ecotf.export.c99.part import NetworkPart
from ecotf.export.convert.calibration import Calibration, evenly, no_training_recordings
from ecotf.export.exportable import require_thresholds
from ecotf.export.prove.examples import Examples
from ecotf.export.prove.recordings import Heard, RunRecordings
from ecotf.export.prove.rehearsal import Rehearsal
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.scores import network_outputs, score_stages
from ecotf.export.stages.sound import (
    CHUNK_FRAMES,
    middle_stage,
    samples_of,
    spectrogram_stage,
    strongest_stage,
)
from ecotf.export.stages.stage import DEFAULT, ExportPlan, Precision, Signature
from ecotf.features.peaks import find_peaks
from ecotf.features.spectrogram import BandSpectrogram, build_spectrogram
from ecotf.pipelines.patches import cut_patches
from ecotf.tasks.calls.export_examples import grid_examples, peak_examples
from ecotf.tasks.calls.export_parity import compare
from ecotf.tasks.calls.run import CallsRun

_CALIBRATION_S, _PATCHES = 120.0, 300


class CallExport:
    """Makes a run of task calls into a device model; see `ecotf.export.exportable.Exportable`."""

    sample_rate: int | None = None
    compare_s = 60.0
    learned: tuple[str, ...] = ("train",)

    def __init__(self, run: CallsRun) -> None:
        self.run, self.detector, self.recipe = run, run.detector, run.recipe
        self.path: Path = run.path
        self.name: str = run.recipe.name
        self.channel: ChannelChoice = run.recipe.data.channel
        self.high_hz: float = run.recipe.front_end.high_hz

    @property
    def on_grid(self) -> bool:
        """Whether slices at fixed distances are scored, as published, in place of peaks."""
        return bool(self.recipe.detection.scoring.at == "grid")

    def check(self, settings: ExportSettings) -> None:
        """Require a rate that carries the band, and a threshold for everything."""
        build_spectrogram(self.recipe.front_end, settings.rate)
        require_thresholds(self.path, self.run.thresholds, ("call", *self.detector.species))

    def plan(self, settings: ExportSettings) -> ExportPlan:
        """Make the plan: the recorder finds peaks in the frames and asks for the scores of each.

        On a grid, as published, the scores are those of the patch in the middle of the sound.
        """
        config, patches = self.recipe.front_end, self.recipe.patches
        scoring = score_stages(self.detector)
        names = tuple(stage.name for stage in scoring)
        outputs = ("scores", "embedding") if settings.embedding else ("scores",)
        facts = self._plan_facts(settings)
        if self.on_grid:
            middle = middle_stage(config, settings.rate, settings.sound, patches)
            signatures = {DEFAULT: Signature(("middle", *names), outputs)}
            return ExportPlan("patches", (middle, *scoring), signatures, facts, first_class=1)
        if config.centred or config.scale == "pcen":
            what = "front_end.centred = true" if config.centred else "front_end.scale = pcen"
            raise ConfigError(f"{what}: a recorder takes each frame alone, and these depend on the sound around them")
        frames = spectrogram_stage(config, settings.rate, settings.sound)
        strongest = strongest_stage(
            config, settings.rate, settings.sound, self.recipe.peaks, patches, measured=self.detector.needs_measures
        )
        signatures = {
            DEFAULT: Signature(("strongest", *names), outputs),
            "spectrogram": Signature(("spectrogram",), ("frames",)),
            "score": Signature(names, outputs),
        }
        return ExportPlan("peaks", (frames, strongest, *scoring), signatures, facts, first_class=1)

    def facts(self) -> dict[str, Any]:
        """Thresholds, and the gate that the desktop has."""
        gate = None if self.run.gate is None else asdict(self.run.gate)
        return {"thresholds": self.run.thresholds, "unnamed": True, "gate": gate}

    def calibrate(self, recordings: RunRecordings) -> Calibration:
        """Draw patches on peaks of the training recordings evenly, each at its own rate."""
        paths = recordings.paths("train")
        if not paths:
            raise no_training_recordings(self.path)
        found, names = [], []
        for sound in recordings.sounds(paths, _CALIBRATION_S):
            patches = self._calibration_patches(sound.samples, sound.rate)
            if len(patches):
                found.append(patches)
                names.append(sound.name)
        if not found:
            raise ConfigError(
                f"none of the {len(paths)} training recordings that are there holds a patch to calibrate with"
            )
        every = np.concatenate(found)
        return Calibration({"patch": every[evenly(len(every), _PATCHES)]}, tuple(names))

    def examples(self, settings: ExportSettings, heard: Heard) -> Examples:
        """Chunks, blocks and patches."""
        return grid_examples(self.run, settings, heard) if self.on_grid else peak_examples(self.run, settings, heard)

    def compare(self, precision: Precision, heard: Heard, examples: Examples, rehearsal: Rehearsal) -> dict[str, Any]:
        """Stage by stage, and in detections."""
        return compare(self.run, precision, heard, examples, rehearsal)

    def found(self, heard: Heard, examples: Examples, rehearsal: Rehearsal) -> Mapping[str, pd.DataFrame]:
        """Return the candidates with names."""
        if rehearsal.candidates is None:
            return {}
        tables = {"detections": rehearsal.candidates, "desktop": examples.candidates}
        return {name: name_calls(table, self.run.thresholds) for name, table in tables.items()}

    def network_part(self, settings: ExportSettings) -> NetworkPart:
        """Return the network and its trees."""
        outputs = network_outputs(self.detector, settings.embedding)
        return NetworkPart(outputs, self.detector.trees, self.detector.needs_measures, self.recipe.front_end)

    def _calibration_patches(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Patches of one recording; none of one that the front end cannot take."""
        slices = self.detector.patches.slices(self.recipe.front_end.hop_s)
        try:
            made = BandSpectrogram(self.recipe.front_end, rate)
            values = made(samples)
        except (ConfigError, RecordingError):
            return np.empty(0, np.float32)
        centres = find_peaks(values, made.hop_s, self.recipe.peaks)
        if self.on_grid:
            centres = np.arange(slices // 2, len(values), slices)
        return cut_patches(values, centres, slices, self.detector.patches)

    def _plan_facts(self, settings: ExportSettings) -> dict[str, Any]:
        """Front end, peaks, patches and detection, resolved for the sample rate."""
        recipe, patches = self.recipe, self.detector.patches
        made = BandSpectrogram(recipe.front_end, settings.rate)
        columns, bands = self.detector.networks[0].model.input_shape[1:3]
        return {
            "species": list(self.detector.species),
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
                "slices": patches.slices(recipe.front_end.hop_s),
                "reduce_time": patches.reduce_time,
                "reduce_frequency": patches.reduce_frequency,
                "resize": patches.resize,
                "columns": columns,
                "bands": bands,
                "width_s": patches.width_s,
            },
            "detection": recipe.detection.model_dump(mode="json"),
            "cascade": self.detector.is_cascade,
            "measures": self.detector.needs_measures,
        }
