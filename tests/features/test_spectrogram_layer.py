"""The Keras layer against the kernels.

Tolerances: powers 1e-5 relative plus 1e-6 of the frame's greatest at any frequency; decibels 1e-3 for what is
up to 40 dB below that.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.features import BandSpectrogramConfig, MelSpectrogramConfig, build_spectrogram

keras = pytest.importorskip("keras")

from ecotf.features.layer import SpectrogramLayer  # noqa: E402

MEL_ALONE = {"name", *MelSpectrogramConfig.model_fields} - (set(BandSpectrogramConfig.model_fields) - {"name"})
BATS = {"window_s": 0.002322, "hop_s": 0.0005805, "low_hz": 4306.0, "high_hz": 116280.0, "gain": 32768.0}
BIRDS = {"window_s": 0.032, "hop_s": 0.01, "low_hz": 50.0, "high_hz": 14_000.0, "bands": 64}


def sounds_of(batch, n, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(batch, n)) * rng.uniform(0.01, 0.2, (batch, 1))).astype(np.float32)


def compare(config, rate, sounds):
    """Kernels and layer, [batch, n_frames, n_rows] each."""
    layer = np.asarray(SpectrogramLayer(config, rate)(sounds))
    kernels = build_spectrogram(config, rate).batch(sounds)
    assert layer.shape == kernels.shape
    return kernels, layer


def loudest(config, rate, sounds):
    """What the greatest power of each frame, at any frequency, would give in each row."""
    values = config.model_dump(exclude=MEL_ALONE)
    whole = BandSpectrogramConfig(**{**values, "low_hz": 0, "high_hz": rate / 2, "scale": "power"})
    greatest = build_spectrogram(whole, rate).batch(sounds).max(axis=2, keepdims=True)
    made = build_spectrogram(config, rate)
    return greatest * made.weights.sum(axis=1) if isinstance(config, MelSpectrogramConfig) else greatest


@settings(max_examples=12, deadline=None)
@given(
    window=st.sampled_from([16, 50, 64, 99, 128, 223]),
    hop=st.integers(5, 90),
    samples=st.integers(1, 900),
    bands=st.one_of(st.none(), st.integers(2, 20)),
    shape=st.sampled_from(["hann", "hamming", "blackman"]),
    centred=st.booleans(),
    padding=st.sampled_from(["reflect", "constant"]),
    power=st.sampled_from(["density", "plain"]),
    seed=st.integers(0, 100),
)
@pytest.mark.filterwarnings("ignore:.*hold no frequency bin")
def test_any_configuration(window, hop, samples, bands, shape, centred, padding, power, seed):
    values = {
        "window_s": window / 8000, "hop_s": hop / 8000, "low_hz": 500.0, "high_hz": 3900.0, "window": shape,
        "centred": centred, "padding": padding, "power": power, "denoise": "none", "smooth_sigma": 0.0,
    }  # fmt: skip
    config = BandSpectrogramConfig(**values) if bands is None else MelSpectrogramConfig(**values, bands=bands)
    sounds = sounds_of(2, samples, seed)
    kernels, layer = compare(config.model_copy(update={"scale": "power"}), 8000, sounds)
    if not kernels.size:
        return
    greatest = loudest(config, 8000, sounds)
    assert (np.abs(kernels - layer) <= 1e-5 * kernels + 1e-6 * greatest).all()
    audible = kernels > 1e-4 * greatest
    kernels, layer = compare(config.model_copy(update={"scale": "db", "floor_db": -200.0}), 8000, sounds)
    assert np.abs(kernels - layer)[audible].max(initial=0) < 1e-3


@pytest.mark.parametrize("rate", [256_000, 384_000])
@pytest.mark.parametrize("denoise", ["mean", "median", "published"])
def test_bat_front_end(rate, denoise):
    config = BandSpectrogramConfig(**BATS, denoise=denoise, block_s=0.02)
    kernels, layer = compare(config, rate, sounds_of(2, rate // 20))
    assert kernels.shape[1] > 70
    np.testing.assert_allclose(layer, kernels, atol=2e-4)


@pytest.mark.parametrize("scale", ["log1p", "ln", "db", "pcen"])
def test_bird_front_end(scale):
    config = MelSpectrogramConfig(**BIRDS, scale=scale, centred=True, gain=100.0)
    kernels, layer = compare(config, 32_000, sounds_of(2, 32_000))
    np.testing.assert_allclose(layer, kernels, atol=1e-3 if scale == "db" else 1e-4)


def test_layer_in_a_saved_model(tmp_path):
    config = MelSpectrogramConfig(**BIRDS)
    inputs = keras.Input([16_000])
    layer = SpectrogramLayer(config, 32_000)
    assert layer.compute_output_shape((None, 16_000)) == (None, 47, 64)
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, 47, 64)
    assert model.count_params() == 0
    model.save(tmp_path / "model.keras")
    sounds = sounds_of(1, 16_000)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(sounds), model(sounds))


@pytest.mark.parametrize(
    "config",
    [
        BandSpectrogramConfig(**BATS, denoise="median", block_s=0.01),
        MelSpectrogramConfig(**BIRDS, centred=True, padding="constant"),
    ],
)
def test_layer_in_tflite_with_builtin_operations(config):
    import tensorflow as tf

    rate = 32_000 if isinstance(config, MelSpectrogramConfig) else 384_000
    layer = SpectrogramLayer(config, rate)
    graph = tf.function(layer.__call__, input_signature=[tf.TensorSpec([1, 8000])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()], layer)
    model = tf.lite.Interpreter(model_content=converter.convert())
    model.allocate_tensors()
    sounds = sounds_of(1, 8000)
    model.set_tensor(model.get_input_details()[0]["index"], sounds)
    model.invoke()
    values = model.get_tensor(model.get_output_details()[0]["index"])
    np.testing.assert_allclose(values, build_spectrogram(config, rate).batch(sounds), atol=2e-3)


def test_a_sound_of_unknown_length():
    with pytest.raises(ValueError, match="sound of unknown length"):
        SpectrogramLayer(MelSpectrogramConfig(**BIRDS), 32_000)(keras.Input([None]))
