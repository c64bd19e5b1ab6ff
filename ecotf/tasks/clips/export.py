"""Runs of task clips in an export: what they are calibrated and tried with, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecotf.detection.segments import SegmentScores, margin_of, score_windows, segment_windows
from ecotf.errors import ConfigError
from ecotf.export.convert.calibration import Calibration
from ecotf.export.prove.examples import Examples, as_float, samples_for
from ecotf.export.prove.recordings import Heard, RunRecordings
from ecotf.export.prove.segment_parity import compare_clips
from ecotf.export.prove.trials import Trial
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import scores_of
from ecotf.export.stages.stage import DEFAULT, Precision
from ecotf.export.stages.tagger import calibration_inputs, fix_length, window_samples
from ecotf.tasks.clips.run import ClipRun, Rows, join_runs

if TYPE_CHECKING:
    import pandas as pd

_CALIBRATION_S, _EACH_S, _WINDOWS = 1200.0, 30.0, 120


class ClipRuns:
    """Rows of some seconds, each with the window around it."""

    def __init__(self, run: ClipRun) -> None:
        self.run, self.model, self.rows = run, run.model, run.recipe.inference

    def check(self, settings: ExportSettings) -> None:
        """There is a threshold for every class."""
        absent = [label for label in self.model.classes if label not in self.run.thresholds]
        if absent:
            raise ConfigError(
                f"{self.run.path}: thresholds.json has no threshold for {absent[0]!r}; train again to fit it"
            )

    def calibrate(self, recordings: RunRecordings) -> Calibration:
        """Images of rows of the training recordings, evenly drawn, and what the dense layers see of them.

        Raises
        ------
        ConfigError
            No training recording is found.
        """
        paths = recordings.paths("train")
        windows, names = [], []
        for sound in recordings.sounds(paths, _CALIBRATION_S, as_rate=self.model.sample_rate, each=_EACH_S):
            windows += list(self._windows(sound.samples))
            names.append(sound.name)
        if not names:
            raise ConfigError(
                f"--precision int8 is calibrated with the run's training recordings, and none that {self.run.path}/"
                "manifest.csv names is there; say where they are with --recordings FOLDER, or export with --precision "
                "f16"
            )
        chosen = np.unique(np.linspace(0, len(windows) - 1, min(_WINDOWS, len(windows))).astype(int))
        images = self.model.images(np.stack([windows[at] for at in chosen]))
        samples = window_samples(self.model, self.rows)
        fixed = fix_length(self.model, self.run.recipe.inference_network, samples / self.model.sample_rate)
        return Calibration(calibration_inputs(fixed, images), tuple(names))

    def examples(self, settings: ExportSettings, heard: Heard) -> Examples:
        """All rows of the sounds, and what the run makes of them."""

        from scipy.special import expit

        given = [np.stack(list(self._windows(samples_for(settings, sound)))) for sound in heard.sounds]
        sounds = np.concatenate(given)
        examples = Examples(rows=tuple(len(windows) for windows in given))
        examples.inputs[f"{DEFAULT}.sound"] = sounds
        rows, frames, examples.frame_times = self._scored(as_float(sounds))
        examples.expected[f"{DEFAULT}.scores"] = expit(rows.astype(np.float64)).astype(np.float32)
        if frames is not None:
            examples.expected[f"{DEFAULT}.frames"] = expit(frames.astype(np.float64)).astype(np.float32)
        examples.candidates = self._detections(heard, examples, examples.expected)
        return examples

    def trial_values(self) -> dict[str, Any]:
        """Nothing: the rows are all that a trial runs."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Thresholds of rows, and of events where the run reports those."""
        events = self.run.event_thresholds if self.rows.report == "events" else None
        return {"thresholds": events or self.run.thresholds, "unnamed": False, "gate": None}

    def compare(self, precision: Precision, heard: Heard, examples: Examples, trial: Trial) -> dict[str, Any]:
        """Stage by stage, in rows and in detections."""
        outputs = with_scores(trial.outputs)
        found = self._detections(heard, examples, outputs)
        return compare_clips(self.run, precision, heard, examples, outputs, found)

    def found(self, heard: Heard, examples: Examples, trial: Trial) -> Mapping[str, pd.DataFrame]:
        """Detections of the file and of the run."""
        found = self._detections(heard, examples, with_scores(trial.outputs))
        return {"detections": found, "desktop": examples.candidates}

    def _windows(self, samples: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """The window of each row, of samples of either type."""
        row, margin = round(self.rows.segment_s * self.model.sample_rate), margin_of(self.model, self.rows)
        for window in segment_windows([samples], row, margin, self.rows.ends):
            yield window.astype(samples.dtype)

    def _scored(self, sounds: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any]]:
        parts = [
            score_windows(self.model, self.rows, sounds[at : at + self.rows.batch])
            for at in range(0, len(sounds), self.rows.batch)
        ]
        frames = None if parts[0][1] is None else np.concatenate([part[1] for part in parts])
        return np.concatenate([part[0] for part in parts]), frames, parts[0][2]

    def _detections(self, heard: Heard, examples: Examples, scores: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
        """What reaches its threshold, with a column ``recording``; by the desktop's own rules."""

        import pandas as pd
        from scipy.special import logit

        ensemble, tables, begin = join_runs([self.run]), [], 0
        frames, times = scores.get(f"{DEFAULT}.frames"), examples.frame_times
        if frames is None and ensemble.reports_events:
            return pd.DataFrame(columns=["recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score"])
        step = float(np.diff(times).mean()) if len(times) > 1 else self.rows.segment_s
        for sound, n in zip(heard.sounds, examples.rows, strict=True):
            own = scores[f"{DEFAULT}.scores"][begin : begin + n].astype(np.float64)
            answers = SegmentScores(own, None, np.empty(0), 0.0)
            if frames is not None:
                middles = (np.arange(n)[:, None] * self.rows.segment_s + times).ravel()
                levels = frames[begin : begin + n].reshape(len(middles), -1).astype(np.float64)
                answers = SegmentScores(own, logit(np.clip(levels, 1e-30, 1 - 1e-15)), middles, step)
            table = ensemble.detections(Rows(own, answers), sound.duration_s, None)
            tables.append(table.assign(recording=sound.name))
            begin += n
        return pd.concat(tables, ignore_index=True)


def with_scores(outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The outputs of a trial, logits as the scores that BirdNET-Go makes of them."""
    logits = outputs.get(f"{DEFAULT}.logits")
    return {**outputs, **({} if logits is None else {f"{DEFAULT}.scores": scores_of(logits)})}
