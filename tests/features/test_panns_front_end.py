"""The front end of PANNs has librosa's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from librosa_figures import by_librosa

from ecotf.features import build_spectrogram
from ecotf.tasks.recipes import load_any_recipe

RATE = 32_000
TIMES = np.arange(RATE // 4) / RATE
SOUNDS = {
    "noise": np.random.default_rng(0).normal(0, 0.1, len(TIMES)),
    "quiet noise": np.random.default_rng(1).normal(0, 1e-4, len(TIMES)),
    "tones": sum(0.1 * np.sin(2 * np.pi * hz * TIMES) for hz in (60, 440, 1000, 5000, 13_500)),
    "silence": np.zeros(len(TIMES)),
}
DEPTH_DB = 80.0  # what lies deeper under the greatest of its frame is rounding, in single precision


@pytest.mark.parametrize("name", SOUNDS)
def test_log_mel_spectrogram(name):
    sound = np.asarray(SOUNDS[name], np.float32)

    def ask(librosa: Any) -> np.ndarray:
        power = librosa.feature.melspectrogram(
            y=sound.astype(np.float64), sr=RATE, n_fft=1024, hop_length=320, n_mels=64, fmin=50, fmax=14_000,
            center=True, pad_mode="reflect", power=2,
        )  # fmt: skip
        return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T

    expected = by_librosa(f"PANNS, {name}", ask)
    front_end = load_any_recipe("tagging/cnn14").front_end
    made = build_spectrogram(front_end, RATE)(sound)
    assert made.shape == expected.shape == (26, 64)
    loud = expected >= expected.max(axis=1, keepdims=True) - DEPTH_DB
    assert loud.all() == (name != "tones")
    np.testing.assert_allclose(made[loud], expected[loud], atol=1e-3, rtol=0)
