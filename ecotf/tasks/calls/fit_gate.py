"""The gate's threshold, fitted on the validation recordings. It needs no network."""

from __future__ import annotations

import numpy as np

from ecotf.audio.recording import open_recording
from ecotf.detection.gate import FittedGate, fit_threshold, track_gate
from ecotf.errors import ConfigError
from ecotf.features.peaks import find_peaks
from ecotf.tasks.calls.data import TrainingData
from ecotf.tasks.calls.recipe import TrainingPlan
from ecotf.training.run_store import Log


def fit_gate(plan: TrainingPlan, data: TrainingData, log: Log, split: str = "valid") -> FittedGate | None:
    """Fit the gate of ``plan.detection`` on a split; None, with the reason in the log, where it cannot be fitted.

    A call is lost when nothing in it, widened by ``patches.match_s``, reaches the gate. The patches are those that
    detection looks at.
    """
    recordings, tracks, centres, of_calls = data.manifest.recordings, [], [], [np.empty(0)]
    scoring = plan.detection.scoring
    for index in data.indices_of(split):
        name, spectrogram = recordings[index], data.spectrograms[index]
        recording = open_recording(data.manifest.path_of(name), time_expansion=data.manifest.time_expansion_of(name))
        try:
            track = track_gate(recording, plan.front_end, plan.detection.gate, plan.data.channel)
        except ConfigError as error:
            log(f"no gate: {error}")
            return None
        calls = data.calls_of(name)
        starts, ends = calls["start_s"].to_numpy(float), calls["end_s"].to_numpy(float)
        of_calls.append(track.of_calls(starts, ends, plan.patches.match_s))
        tracks.append(track)
        stride = max(1, round(scoring.stride_s / spectrogram.hop_s))
        centres.append(
            find_peaks(spectrogram.values, spectrogram.hop_s, plan.peaks)
            if scoring.at == "peaks"
            else np.arange(0, len(spectrogram.values), stride)
        )
    if not sum(map(len, of_calls)):
        log(f"no gate: the {split} recordings hold no call to fit its threshold on")
        return None
    slices = plan.patches.slices(plan.front_end.hop_s)
    return fit_threshold(np.concatenate(of_calls), tracks, centres, slices, plan.detection.gate.calls_lost)
