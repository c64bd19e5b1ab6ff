"""The front end of EfficientAT (Schmid et al. 2023), as its recipe sets it, against a float64 statement of it.

Pre-emphasis, Hann window of 800 samples inside a transform of 1024, Kaldi's mel bands, log(x + 1e-5), (x + 4.5) / 5.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ecotf.config import validate
from ecotf.errors import ConfigError
from ecotf.features import MelSpectrogram, MelSpectrogramConfig
from ecotf.features.image import make_image
from ecotf.tasks.recipes import load_any_recipe

RATE, FFT, WINDOW, HOP, BANDS, TOP_HZ = 32_000, 1024, 800, 320, 128, 15_000


def published(sound: np.ndarray) -> np.ndarray:
    """The image of sound, [frames, bands]; every band by itself, as Kaldi's documentation states it."""
    x = np.asarray(sound, np.float64)
    x = np.pad(x[1:] - 0.97 * x[:-1], FFT // 2, mode="reflect")
    window = np.zeros(FFT)
    window[112:912] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    starts = range(0, len(x) - FFT + 1, HOP)
    power = np.array([np.abs(np.fft.rfft(window * x[start : start + FFT])) ** 2 for start in starts])

    def mel(hz):
        return 1127 * np.log(1 + hz / 700)

    step = mel(TOP_HZ) / (BANDS + 1)
    bins = mel(np.arange(FFT // 2 + 1) * RATE / FFT)
    energy = np.zeros((len(power), BANDS))
    for band in range(BANDS):
        up, down = bins / step - band, band + 2 - bins / step
        energy[:, band] = power @ np.maximum(0, np.minimum(up, down))
    return (np.log(energy + 1e-5) + 4.5) / 5


@pytest.fixture(scope="module")
def recipe():
    return load_any_recipe("tagging/mn10")


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    t = np.arange(3 * RATE) / RATE
    tone = 0.05 * np.sin(2 * np.pi * (500 * t + 2000 * t**2)) * (t % 1 < 0.6)  # with silence, where 1e-5 decides
    return (tone + np.random.default_rng(0).normal(0, 0.003, len(t)) * (t < 2)).astype(np.float32)


def image_of(recipe, levels: np.ndarray) -> np.ndarray:
    return make_image(levels, recipe.level)[..., 0]


def test_it_is_the_published_one(recipe, sound):
    spectrogram = MelSpectrogram(recipe.front_end, RATE)
    made, expected = image_of(recipe, spectrogram(sound)), published(sound)
    assert made.shape == expected.shape == (300, BANDS)
    assert expected.min() < -1.3 and expected.max() > 0.9  # silence and sound
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_pieces_the_layer_and_int16_give_the_same(recipe, sound):
    from ecotf.features.layer import SpectrogramLayer

    spectrogram = MelSpectrogram(recipe.front_end, RATE)
    whole = spectrogram(sound)
    for given in (sound, np.round(sound * 32768).astype(np.int16)):
        stream = spectrogram.stream()
        cuts = [0, 0, 1, 2, 700, 700, 40_000, len(given)]
        pieces = [stream.push(given[a:b]) for a, b in pairwise(cuts)]
        np.testing.assert_array_equal(np.concatenate([*pieces, stream.finish()]), spectrogram(given))
    assert spectrogram(sound[:1]).shape == (0, BANDS)
    layer = SpectrogramLayer.from_config(SpectrogramLayer(recipe.front_end, RATE).get_config())
    np.testing.assert_allclose(image_of(recipe, layer(sound[None]).numpy())[0], image_of(recipe, whole), atol=1e-4)


def test_a_shape_longer_than_its_window_is_refused():
    values = {"window_s": 0.02, "hop_s": 0.01, "low_hz": 0.0, "high_hz": 9000.0, "bands": 8, "taper_s": 0.03}
    with pytest.raises(ConfigError, match=r"taper_s = 0.03: allowed is at most window_s = 0.02"):
        validate(MelSpectrogramConfig, values, "test")
    short = validate(MelSpectrogramConfig, {**values, "taper_s": 1e-5}, "test")
    with pytest.raises(ConfigError, match="taper_s = 1e-05 is 0 samples at 32000 Hz; allowed is at least 2"):
        MelSpectrogram(short, RATE)
