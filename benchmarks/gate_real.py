"""The gate on real recordings, in the folds of `bats_real.py`: what it skips and what it loses. No network is trained.

In each fold the threshold is fitted on the validation recordings, as `run_training.py` does; what it skips and loses is
counted on the test recordings, which together are all of them. AP is that of the plain band-energy detector, with all
its peaks and with those in whose window something reaches the gate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def hear(model: str, manifest) -> dict[str, tuple]:
    """For each recording: what the gate hears, the peaks that detection looks at, and starts and ends of its calls."""
    from ecotf.audio.recording import open_recording
    from ecotf.datasets.labels import IGNORED_LABELS, labels_that_match
    from ecotf.detection.gate import track_gate
    from ecotf.features.peaks import find_peaks
    from ecotf.pipelines.spectrogram_store import compute_spectrogram
    from ecotf.tasks.recipes import load_recipe

    recipe = load_recipe(f"bats/{model}")
    calls = manifest.annotations[
        ~manifest.annotations["label"].isin(labels_that_match(manifest.labels, IGNORED_LABELS))
    ]
    heard = {}
    for name in manifest.recordings:
        recording = open_recording(manifest.path_of(name))
        spectrogram = compute_spectrogram(recording, recipe.front_end)
        peaks = find_peaks(spectrogram.values, spectrogram.hop_s, recipe.peaks)
        mine = calls[calls["recording"] == name]
        bounds = mine["start_s"].to_numpy(float), mine["end_s"].to_numpy(float)
        heard[name] = track_gate(recording, recipe.front_end, recipe.detection.gate), peaks, *bounds
    return heard


def fit_on(model: str, heard: dict[str, tuple], recordings: Sequence[str], threshold_db: float | None = None):
    """A gate fitted on ``recordings``, or, with ``threshold_db``, what that threshold skips and loses there."""
    from ecotf.detection.gate import FittedGate, fit_threshold, open_patches
    from ecotf.tasks.recipes import load_recipe

    recipe = load_recipe(f"bats/{model}")
    slices = recipe.patches.slices(recipe.front_end.hop_s)
    parts = [heard[name] for name in recordings]
    of_calls = np.concatenate([track.of_calls(a, b, recipe.patches.match_s) for track, _, a, b in parts])
    if threshold_db is None:
        tracks, peaks = [track for track, *_ in parts], [at for _, at, *_ in parts]
        return fit_threshold(of_calls, tracks, peaks, slices, recipe.detection.gate.calls_lost)
    is_open = np.concatenate([open_patches(track.reaches(threshold_db), at, slices) for track, at, *_ in parts])
    lost = int((of_calls < threshold_db).sum())
    return FittedGate(threshold_db, len(of_calls), lost, len(is_open), int((~is_open).sum()))


def let_through(model: str, heard: dict[str, tuple], found: pd.DataFrame, thresholds: dict[str, float]) -> np.ndarray:
    """Which detections have something in their window that reaches their recording's threshold, bool ``[n]``."""
    from ecotf.detection.gate import open_patches
    from ecotf.tasks.recipes import load_recipe

    recipe = load_recipe(f"bats/{model}")
    slices = recipe.patches.slices(recipe.front_end.hop_s)
    is_open = np.zeros(len(found), bool)
    for name, rows in found.reset_index(drop=True).groupby("recording"):
        track = heard[str(name)][0]
        centres = np.rint((rows["start_s"].to_numpy(float) - track.offset_s) / track.hop_s).astype(int)
        is_open[rows.index] = open_patches(track.reaches(thresholds[str(name)]), centres, slices)
    return is_open


def cross_validate_gate(model: str, folds, found: pd.DataFrame) -> tuple[dict, pd.DataFrame]:
    """Figures for each set of recordings, and the detections of ``found`` that each fold's gate lets through."""
    from scipy.stats import binomtest

    heard = hear(model, folds[0])
    thresholds, fitted = {}, []
    for manifest in folds:
        gate = fit_on(model, heard, manifest.of_split("valid").recordings)
        fitted.append({"threshold_db": gate.threshold_db, "calls": gate.calls, "calls_lost": gate.calls_lost})
        thresholds |= dict.fromkeys(manifest.of_split("test").recordings, gate.threshold_db)
    figures: dict = {"folds": fitted}
    for part in ("tadarida_fr", "whombat_cr", "both"):
        inside = [name for name in heard if part == "both" or f"/{part}/" in name]
        judged = [fit_on(model, heard, [name], thresholds[name]) for name in inside]
        patches, skipped = sum(g.patches for g in judged), sum(g.patches_skipped for g in judged)
        calls, lost = sum(g.calls for g in judged), sum(g.calls_lost for g in judged)
        interval = binomtest(lost, calls).proportion_ci(method="wilson")
        figures[part] = {
            "patches": patches, "patches_skipped": skipped / patches, "calls": calls, "calls_lost": lost / calls,
            "calls_lost_interval": [interval.low, interval.high],
        }  # fmt: skip
    return figures, found[let_through(model, heard, found, thresholds)]
