"""What exports of all runs of segments share: the windows, the examples, the facts and the detections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from ecotf.audio.channels import ChannelChoice
from ecotf.detection.segments import margin_of, score_windows, segment_windows
from ecotf.detection.view import in_order
from ecotf.errors import ConfigError
from ecotf.export.c99.part import NetworkPart
from ecotf.export.convert.calibration import evenly, no_training_recordings
from ecotf.export.exportable import require_thresholds
from ecotf.export.prove.examples import COLUMNS, Examples, as_float, samples_for
from ecotf.export.prove.recordings import Heard, RunRecordings
from ecotf.export.prove.rehearsal import Rehearsal
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import scores_of
from ecotf.export.stages.stage import DEFAULT, ExportPlan, Signature, Stage
from ecotf.export.stages.tagger import window_samples
from ecotf.tasks.clips.answering import Reports
from ecotf.tasks.clips.run import ClipsRun, Model, Plan
from ecotf.tasks.clips.stream import SHORTEST_S

_CALIBRATION_S, _EACH_S, _WINDOWS = 1200.0, 30.0, 120


class SegmentExport(Generic[Plan, Model]):
    """Makes a run of segments into a device model; see `ecotf.export.exportable.Exportable`.

    What is converted, and what parts of it are compared, differs from one kind of model to another.
    """

    compare_s = 300.0

    def __init__(self, run: ClipsRun[Plan, Model]) -> None:
        self.run, self.model, self.config = run, run.model, run.recipe.inference
        self.path: Path = run.path
        self.name: str = run.recipe.name
        self.channel: ChannelChoice = run.recipe.data.channel
        self.high_hz = 0.0
        self.sample_rate: int | None = run.model.sample_rate
        self.learned: tuple[str, ...] = run.recipe.learned

    @property
    def segment_samples(self) -> int:
        """Samples of a segment."""
        return round(self.config.segment_s * self.model.sample_rate)

    @property
    def onsets(self) -> bool:
        """Whether the run's finder reads what a head says of onsets."""
        return self.config.events.needs_onsets(self.run.finder)

    def check(self, settings: ExportSettings) -> None:
        """Require a threshold for every class."""
        require_thresholds(self.path, self.run.thresholds, self.run.classes)

    def facts(self) -> dict[str, Any]:
        """Return the thresholds of segments, or of events where the run reports those."""
        events = self.run.event_thresholds if self.config.report == "events" else None
        return {"thresholds": events or self.run.thresholds, "unnamed": False, "gate": None}

    def examples(self, settings: ExportSettings, heard: Heard) -> Examples:
        """Cut all segments of the sounds, and compute the run's outputs for them."""
        given = [np.stack(list(self._windows(samples_for(settings.sound, sound)))) for sound in heard.sounds]
        sounds = np.concatenate(given)
        examples = Examples(
            segments=tuple(len(windows) for windows in given),
            each_second={DEFAULT: self.model.sample_rate / self.segment_samples},
        )
        examples.inputs[f"{DEFAULT}.sound"] = sounds
        scores, frames, examples.frame_times = self._scored(as_float(sounds))
        examples.expected[f"{DEFAULT}.scores"] = expit(scores.astype(np.float64)).astype(np.float32)
        if frames is not None:
            frames = frames if self.onsets else frames[..., : len(self.model.classes)]
            examples.expected[f"{DEFAULT}.frames"] = expit(frames.astype(np.float64)).astype(np.float32)
        examples.candidates = self._detections(heard, examples, examples.expected)
        return examples

    def found(self, heard: Heard, examples: Examples, rehearsal: Rehearsal) -> Mapping[str, pd.DataFrame]:
        """Return the detections of the file and of the run."""
        found = self._detections(heard, examples, with_scores(rehearsal.outputs))
        return {"detections": found, "desktop": examples.candidates}

    def network_part(self, settings: ExportSettings) -> NetworkPart:
        """None: the network sees images of seconds of sound, for which a microcontroller has no room."""
        raise ConfigError(
            "--target c: a run of task clips has no form on a microcontroller yet; export it with --target pi"
        )

    def _windows(self, samples: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Cut the window of each segment, of samples of either type."""
        margin = margin_of(self.model, self.config)
        for window in segment_windows([samples], self.segment_samples, margin, self.config.ends):
            yield window.astype(samples.dtype)

    def _scored(self, sounds: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any]]:
        batch = self.config.batch
        parts = [score_windows(self.model, self.config, sounds[at : at + batch]) for at in range(0, len(sounds), batch)]
        frames = None if parts[0][1] is None else np.concatenate([part[1] for part in parts])
        return np.concatenate([part[0] for part in parts]), frames, parts[0][2]

    def _detections(self, heard: Heard, examples: Examples, scores: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
        """Return the detections that reach their threshold, with a column ``recording``, by the desktop's rules."""
        answering, tables, begin = self.run.answering, [], 0
        frames, times = scores.get(f"{DEFAULT}.frames"), examples.frame_times
        if frames is None and answering.event_thresholds is not None:
            return pd.DataFrame(columns=list(COLUMNS))
        step = float(np.diff(times).mean()) if len(times) > 1 else self.config.segment_s
        for sound, n in zip(heard.sounds, examples.segments, strict=True):
            own, reports = slice(begin, begin + n), Reports(answering)
            found = [reports.rows(scores[f"{DEFAULT}.scores"][own].astype(np.float64), sound.duration_s)]
            if frames is not None:
                found.append(reports.frames(frames[own].astype(np.float64), times, step, sound.duration_s))
            found.append(reports.finish())
            boxed = answering.boxed()
            if boxed is not None:
                boxed.hear(sound.samples)
                found = boxed.settle(found, None)
            tables.append(in_order(found).assign(recording=sound.name))
            begin += n
        return pd.concat(tables, ignore_index=True)

    def _training_windows(self, recordings: RunRecordings) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Draw windows of segments of the training recordings evenly, ``[n, samples]``, with the recordings' names."""
        windows, names = [], []
        paths = recordings.paths("train") or recordings.paths("valid")  # an enrolled run has no other
        for sound in recordings.sounds(paths, _CALIBRATION_S, as_rate=self.model.sample_rate, each=_EACH_S):
            windows += list(self._windows(sound.samples))
            names.append(sound.name)
        if not names:
            raise no_training_recordings(self.path)
        return np.stack([windows[at] for at in evenly(len(windows), _WINDOWS)]), tuple(names)

    def _plan(
        self, stages: tuple[Stage, ...], settings: ExportSettings, frames: Sequence[float], notes: tuple[str, ...] = ()
    ) -> ExportPlan:
        """Make the plan: the recorder gives the window around each segment, and asks for its scores.

        ``frames`` are the middles of the frames of a segment, seconds from its start; none of models that give none.
        """
        wanted = {"scores": True, "frames": bool(frames), "embedding": settings.embedding}
        outputs = tuple(name for name, is_wanted in wanted.items() if is_wanted)
        signature = Signature(tuple(stage.name for stage in stages), outputs)
        return ExportPlan("segments", stages, {DEFAULT: signature}, self._plan_facts(frames), notes=notes)

    def _plan_facts(self, frames: Sequence[float]) -> dict[str, Any]:
        """Segments, the window around each, and what becomes of the frames in it."""
        model, config = self.model, self.config
        several = self.config.segment_s if frames else 0.0
        return {
            "species": list(model.classes),
            "shortest_s": SHORTEST_S,
            "band_hz": list(model.band_hz),
            "window": {
                "samples": window_samples(model, config),
                "segment_samples": self.segment_samples,
                "margin_samples": margin_of(model, config),
                "segment_s": config.segment_s,
                "frames": len(frames),
                "frame_times_s": list(frames),
                "frame_s": float(np.diff(frames).mean()) if len(frames) > 1 else several,
                "score": config.score,
                "ends": config.ends,
            },
            "report": config.report,
            "events": config.events.facts(model.classes, self.run.finder),
            "boxes": config.boxes.facts(model.classes, self.run.boxes, model.band_hz) if config.boxes else None,
        }


def with_scores(outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the outputs of a rehearsal, with logits as the scores that BirdNET-Go makes of them."""
    logits = outputs.get(f"{DEFAULT}.logits")
    return {**outputs, **({} if logits is None else {f"{DEFAULT}.scores": scores_of(logits)})}
