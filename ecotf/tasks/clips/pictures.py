"""The pictures of a run of clips: confusion of recordings, and spectrograms with the events found and the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.audio.recording import Recording, open_recording
from ecotf.detection.naming import name_calls
from ecotf.detection.segment_model import SegmentModel
from ecotf.evaluation.drawing import drawing
from ecotf.evaluation.plots import plot_detections, plot_precision_recall
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.scored import ScoredSegments
from ecotf.training.run_store import Log, RunStore

if TYPE_CHECKING:
    import pandas as pd

_PICTURE_S = 10.0
_PICTURES = 6


def draw_clip_run(
    recipe: ClipPlan,
    data: ClipData,
    model: SegmentModel,
    judged: ScoredSegments,
    metrics: dict[str, Any],
    thresholds: dict[str, float],
    run: RunStore,
    log: Log,
) -> None:
    """Draw the events into the run's ``plots/``: of the recordings with most of them, ten seconds each."""
    assert judged.candidates is not None
    folder = run.path / "plots"
    if metrics["events"]["detection"]["n_calls"] and metrics["events"]["detection"]["n_candidates"]:
        with drawing("precision_recall.png", log):
            plot_precision_recall(metrics["events"], folder / "precision_recall.png", title=recipe.name)
    manifest = data.manifest
    truth = manifest.table[manifest.table["label"].isin(list(model.classes)) & manifest.table["end_s"].notna()]
    names = judged.recordings
    names.sort(key=lambda name: -int((truth["recording"] == name).sum()))
    for number, name in enumerate(names[:_PICTURES]):
        with drawing(f"events_{number}.png, of {name},", log):
            found = judged.candidates[judged.candidates["recording"] == name].drop(columns="recording")
            events = name_calls(found, thresholds, unnamed=False)
            recording = open_recording(manifest.path_of(name), time_expansion=manifest.time_expansion_of(name))
            own = truth[truth["recording"] == name]
            draw_events(recipe, model, recording, events, own, name, folder / f"events_{number}.png")


def draw_events(
    recipe: ClipPlan,
    model: SegmentModel,
    recording: Recording,
    events: pd.DataFrame,
    truth: pd.DataFrame,
    title: str,
    file: Path,
) -> None:
    """Draw the part of a recording with the most detections."""
    starts = np.sort(np.concatenate([truth["start_s"], events["start_s"]]))
    start = 0.0
    if len(starts):
        busiest = np.argmax(np.searchsorted(starts, starts + _PICTURE_S) - np.arange(len(starts)))
        start = float(np.clip(starts[busiest] - 0.5, 0, max(0.0, recording.duration_s - _PICTURE_S)))
    end = min(recording.duration_s, start + _PICTURE_S)
    sound = recording.read(start, end, channel=recipe.data.channel, sample_rate=model.sample_rate)
    spectrogram = model.spectrogram
    levels = spectrogram(np.ascontiguousarray(sound, np.float32))
    times = start + np.arange(len(levels)) * spectrogram.hop_s
    detected, true = (table[(table["end_s"] > start) & (table["start_s"] < end)] for table in (events, truth))
    plot_detections(levels, times, spectrogram.frequencies_hz, detected, true, title, file)
