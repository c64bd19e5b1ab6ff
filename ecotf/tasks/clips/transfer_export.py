"""Runs with a frozen embedder in an export: the embedder as its author made it, and the head behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from ecotf.errors import ConfigError
from ecotf.export.convert.calibration import Calibration
from ecotf.export.prove.examples import Examples
from ecotf.export.prove.parity import TOLERANCES, failures, new_report
from ecotf.export.prove.recordings import Heard, RunRecordings
from ecotf.export.prove.rehearsal import Rehearsal
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.frozen import frozen_stages
from ecotf.export.stages.stage import DEFAULT, ExportPlan, Precision
from ecotf.export.stages.tagger import window_samples
from ecotf.models.frozen import FrozenModel
from ecotf.tasks.clips.export_parity import compare_detections, compare_scores
from ecotf.tasks.clips.run_stages import network_inputs
from ecotf.tasks.clips.segment_export import SegmentExport, with_scores
from ecotf.tasks.clips.transfer_recipe import TransferRecipe


class TransferExport(SegmentExport[TransferRecipe, FrozenModel]):
    """Makes a run with a frozen embedder into a device model; see `ecotf.export.exportable.Exportable`."""

    def plan(self, settings: ExportSettings) -> ExportPlan:
        """Make the plan; raises `ConfigError` where the embedder has no form on a device."""
        if settings.rate != self.model.sample_rate:
            raise ConfigError(
                f"--rate {settings.rate}: the embedder hears {self.model.sample_rate} Hz; leave --rate out"
            )
        samples = window_samples(self.model, self.config)
        stages = frozen_stages(self.model, samples, settings.sound, settings.embedding)
        notes = [f"the embedder is {self.model.embedder.title}: {self.model.embedder.licence or 'licence unknown'}"]
        if settings.precision != "f32" and not any(stage.quantised for stage in stages[:-1]):
            notes.append(f"{settings.precision} is the precision of the head; the embedder stays as its author made it")
        frames = (self.config.segment_s / 2,) if self.model.gives_frames else ()
        return self._plan(stages, settings, frames, tuple(notes))

    def calibrate(self, recordings: RunRecordings) -> Calibration:
        """Embed windows of the training recordings."""
        windows, names = self._training_windows(recordings)
        inputs = {"embeddings": self.model.embeddings(windows)}
        for number in range(self.model.windows(windows[:1]).shape[1]):
            own = self.model.windows(windows)[:, number]
            inputs |= network_inputs(self.model.embedder.config, number, own)
        return Calibration(inputs, names)

    def compare(self, precision: Precision, heard: Heard, examples: Examples, rehearsal: Rehearsal) -> dict[str, Any]:
        """The head on the file's own embeddings, then whole segments, then detections."""
        outputs, tolerances = with_scores(rehearsal.outputs), TOLERANCES[precision]
        scores, expected = outputs[f"{DEFAULT}.scores"], examples.expected[f"{DEFAULT}.scores"]
        report = new_report(precision, heard)
        report[DEFAULT] = compare_scores(expected, scores, tolerances)
        embeddings = outputs["between.embeddings"]
        of_head = expit(self.model.logits(embeddings).astype(np.float64))
        report["network"] = compare_scores(of_head, scores[: len(embeddings)], tolerances)
        found = self._detections(heard, examples, outputs)
        report["detections"] = compare_detections(self.run, heard, examples, scores, found)
        report["failures"] = failures(report, lambda row: int(row["n"]))
        return report
