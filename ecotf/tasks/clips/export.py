"""Runs with a network of clips in an export: segments of some seconds, each with the window around it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecotf.detection.segments import frame_length_s, frames_in_segment, margin_of
from ecotf.export.convert.calibration import Calibration
from ecotf.export.prove.examples import Examples
from ecotf.export.prove.recordings import Heard, RunRecordings
from ecotf.export.prove.rehearsal import Rehearsal
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.stage import ExportPlan, Precision, Stage
from ecotf.export.stages.tagger import calibration_inputs, clip_stages, fix_length, window_samples
from ecotf.models.tagger import ClipModel
from ecotf.tasks.clips.export_parity import compare
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.run import ClipsRun
from ecotf.tasks.clips.segment_export import SegmentExport, with_scores


class ClipExport(SegmentExport[ClipRecipe, ClipModel]):
    """Makes a run with a network of clips into a device model; see `ecotf.export.exportable.Exportable`."""

    def __init__(self, run: ClipsRun[ClipRecipe, ClipModel]) -> None:
        super().__init__(run)
        self.high_hz = run.recipe.front_end.high_hz

    def plan(self, settings: ExportSettings) -> ExportPlan:
        """Make the plan, with the network in pieces."""
        stages = clip_stages(self.model, self.run.recipe.inference_network, self.config, settings, self.onsets)
        return self._plan(stages, settings, self._frames(stages))

    def calibrate(self, recordings: RunRecordings) -> Calibration:
        """Draw images of segments of the training recordings evenly, with the inputs of the dense layers."""
        windows, names = self._training_windows(recordings)
        images = self.model.images(windows)
        seconds = window_samples(self.model, self.config) / self.model.sample_rate
        fixed = fix_length(self.model, self.run.recipe.inference_network, seconds)
        return Calibration(calibration_inputs(fixed, images), names)

    def compare(self, precision: Precision, heard: Heard, examples: Examples, rehearsal: Rehearsal) -> dict[str, Any]:
        """Stage by stage, in segments and in detections."""
        outputs = with_scores(rehearsal.outputs)
        return compare(self.run, precision, heard, examples, outputs, self._detections(heard, examples, outputs))

    def _frames(self, stages: tuple[Stage, ...]) -> list[float]:
        """List the middles of the frames of a segment, seconds from its start; none of heads that give none."""
        logits = next(stage for stage in stages if stage.name == "segments").inputs
        if "frame_logits" not in logits:
            return []
        n_frames = logits["frame_logits"].shape[1]
        length = frame_length_s(self.model, window_samples(self.model, self.config), n_frames)
        first, last = frames_in_segment(self.model, self.config, length, n_frames)
        margin_s = margin_of(self.model, self.config) / self.model.sample_rate
        return [float(time) for time in (np.arange(first, last) + 0.5) * length - margin_s]
