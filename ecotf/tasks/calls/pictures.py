"""The pictures of a run: curves, confusion, and spectrograms with the detections and the truth drawn on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.detection.naming import name_calls
from ecotf.evaluation.drawing import drawing
from ecotf.evaluation.metrics import Metrics
from ecotf.evaluation.plots import plot_confusion, plot_detections, plot_precision_recall, plot_reliability
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.tasks.calls.data import TrainingData
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.training.run_store import Log, RunStore

if TYPE_CHECKING:
    import pandas as pd

_PICTURE_S = 0.6
_PICTURES = 6


def draw_run(
    recipe: CallRecipe,
    data: TrainingData,
    candidates: pd.DataFrame,
    thresholds: dict[str, float],
    metrics: Metrics,
    split: str,
    run: RunStore,
    log: Log,
) -> None:
    """Draw everything into the run's ``plots/``; of the first few recordings, the part with the most detections."""
    folder = run.path / "plots"
    curves = (
        (
            "precision_recall",
            plot_precision_recall,
            metrics["detection"]["n_calls"] and metrics["detection"]["n_candidates"],
        ),
        ("confusion", plot_confusion, metrics["confusion"] is not None),
        ("calibration", plot_reliability, metrics["calibration"] is not None),
    )
    for name, plot, there in curves:
        if there:
            with drawing(f"{name}.png", log):
                plot(metrics, folder / f"{name}.png", title=recipe.name)
    recordings = data.manifest.recordings
    ranked = sorted(data.indices_of(split), key=lambda index: -len(data.calls_of(recordings[index])))
    for number, index in enumerate(ranked[:_PICTURES]):
        name = recordings[index]
        with drawing(f"detections_{number}.png, of {name},", log):
            mine = candidates[candidates["recording"] == name].drop(columns="recording")
            detections = name_calls(mine, thresholds)
            truth = data.manifest.annotations[data.manifest.annotations["recording"] == name]
            start = liveliest(data.spectrograms[index].duration_s, truth, detections)
            draw_stretch(data.spectrograms[index], start, detections, truth, name, folder / f"detections_{number}.png")


def draw_stretch(
    spectrogram: StoredSpectrogram,
    start_s: float,
    detections: pd.DataFrame,
    annotations: pd.DataFrame,
    title: str,
    path: Path,
) -> None:
    """Draw one part of a recording with its detections and, if there are any, its annotations."""
    first = max(0, spectrogram.slice_at(start_s))
    last = min(len(spectrogram.values), spectrogram.slice_at(start_s + _PICTURE_S))
    times = spectrogram.offset_s + np.arange(first, last) * spectrogram.hop_s
    detected, true = (
        table[(table["end_s"] > start_s) & (table["start_s"] < start_s + _PICTURE_S)]
        for table in (detections, annotations)
    )
    plot_detections(
        np.asarray(spectrogram.values[first:last]),
        times,
        spectrogram.frequencies_hz,
        detected,
        true,
        title,
        path,
    )


def liveliest(duration_s: float, *tables: pd.DataFrame) -> float:
    """Find the start of the part with the most rows of the first table that has any, in seconds."""
    for table in tables:
        if len(table):
            starts = np.sort(table["start_s"].to_numpy(float))
            count = np.searchsorted(starts, starts + _PICTURE_S) - np.arange(len(starts))
            best = float(starts[int(count.argmax())]) - 0.02
            return float(np.clip(best, 0, max(0.0, duration_s - _PICTURE_S)))
    return 0.0
