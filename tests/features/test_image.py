"""Images of clips: against librosa, torchaudio's definition and a plain statement; numpy and the graph agree."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from librosa_figures import by_librosa
from pydantic import ValidationError

from ecotf.errors import ConfigError
from ecotf.features import MelSpectrogramConfig, build_spectrogram
from ecotf.features.delta import delta
from ecotf.features.image import ImageConfig, clip_images, image_shape, make_image
from ecotf.features.image_layer import ImageLayer
from ecotf.features.picture import SeparationConfig

CONFIGS = [
    ImageConfig(),
    ImageConfig(top_db=None, offset=0, scale=255),
    ImageConfig(channels=3),
    ImageConfig(channels=3, delta_axis="bands", top_db=30),
    ImageConfig(channels=3, delta_form="polynomial", delta_width=7),
    ImageConfig(channels=3, delta_form="polynomial", delta_axis="bands"),
]


@pytest.fixture(scope="module")
def levels() -> np.ndarray:
    return np.random.default_rng(0).uniform(-120, 0, (2, 19, 12)).astype(np.float32)


def test_levels_far_below_the_greatest_of_the_clip_are_raised(levels):
    levels = levels + np.array([0, -7], np.float32)[:, None, None]
    image = make_image(levels, ImageConfig(top_db=60))
    for clip, made in zip(levels, image[..., 0], strict=True):
        expected = (np.clip(clip.astype(float), clip.max() - 60, None) + 80) / 80
        np.testing.assert_allclose(made, expected, atol=1e-6)
    assert image.shape == (2, 19, 12, 1)
    assert image.dtype == np.float32
    np.testing.assert_allclose(make_image(levels, CONFIGS[1])[..., 0], levels / 255, atol=1e-6)


def regression(row: np.ndarray, width: int) -> np.ndarray:
    """torchaudio.functional.compute_deltas of one row: sum n (c[t+n] - c[t-n]) / (2 sum n^2), ends repeated."""
    reach = width // 2
    at = lambda i: row[min(max(i, 0), len(row) - 1)]  # noqa: E731
    steps = range(1, reach + 1)
    return np.array(
        [sum(n * (at(t + n) - at(t - n)) for n in steps) / (2 * sum(n * n for n in steps)) for t in range(len(row))]
    )


@pytest.mark.parametrize("axis", ["time", "bands"])
def test_the_published_deltas(levels, axis):
    image = make_image(levels, ImageConfig(channels=3, delta_axis=axis))
    along = 0 if axis == "time" else 1
    for clip in image.astype(float):
        first = np.apply_along_axis(regression, along, clip[..., 0], 5)
        np.testing.assert_allclose(clip[..., 1], first, atol=1e-6)
        np.testing.assert_allclose(clip[..., 2], np.apply_along_axis(regression, along, first, 5), atol=1e-6)


@pytest.mark.parametrize("axis", ["time", "bands"])
def test_the_deltas_of_librosa_and_of_features(levels, axis):
    image = make_image(levels, ImageConfig(channels=3, delta_axis=axis, delta_form="polynomial"))
    along = 0 if axis == "time" else 1
    for number, clip in enumerate(image):
        for order in (1, 2):
            expected = by_librosa(
                f"delta {order} of levels {number} along {axis}",
                lambda librosa, clip=clip, order=order: librosa.feature.delta(
                    clip[..., 0].astype(float), width=5, order=order, axis=along
                ),
            )
            np.testing.assert_allclose(clip[..., order], expected, atol=1e-5)
    if axis == "time":
        np.testing.assert_allclose(image[0, ..., 2], delta(image[0, ..., 0], 5, 2), atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_layer_makes_the_same_for_any_number_of_frames(levels, config):
    levels_in = keras.Input((None, 12))
    model = keras.Model(levels_in, ImageLayer(config)(levels_in))
    for n in (19, 8):
        made = model(levels[:, :n]).numpy()
        np.testing.assert_allclose(made, make_image(levels[:, :n], config), atol=1e-5)
        assert made.dtype == np.float32
    again = keras.Model.from_config(model.get_config())
    np.testing.assert_array_equal(again(levels), model(levels))


@pytest.mark.parametrize("config", CONFIGS[1:4])
def test_the_layer_becomes_tflite(levels, config):
    layer = ImageLayer(config)
    function = tf.function(layer, input_signature=[tf.TensorSpec([1, 19, 12])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], layer)
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], levels[:1])
    interpreter.invoke()
    made = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(made, make_image(levels[:1], config), atol=1e-4)


@pytest.fixture(scope="module")
def clicks_and_tones() -> tuple[np.ndarray, MelSpectrogramConfig]:
    """1.6 s of a tone, clicks and noise with silence around, as clips that were put into the middle have it."""
    rng = np.random.default_rng(5)
    time = np.arange(32000) / 22050
    sound = 0.3 * np.sin(2 * np.pi * 3000 * time) + 0.01 * rng.normal(size=len(time))
    sound[rng.integers(0, len(time), 12)] += 0.9
    front_end = MelSpectrogramConfig(
        window_s=1024 / 22050, hop_s=512 / 22050, low_hz=0, high_hz=11025, bands=128, centred=True, power="plain"
    )
    return np.pad(sound, 2000).astype(np.float32), front_end


def published_channels(power: np.ndarray) -> np.ndarray:
    """Darksound's channels of a mel power spectrogram ``[bands, frames]``, by librosa in double precision.

    In the order harmonic, percussive, delta; of every fourth band, ``[3, bands / 4, frames]``.
    """

    def ask(librosa: Any) -> np.ndarray:
        harmonic, percussive = librosa.decompose.hpss(power.astype(float), margin=(1.0, 5.0))
        decibels = [librosa.amplitude_to_db(part, ref=np.max) for part in (harmonic, percussive, power.astype(float))]
        parts = [decibels[0], decibels[1], librosa.feature.delta(decibels[2])]
        return np.stack([(part - part.min()) / (part.max() - part.min()) for part in parts])[:, ::4]

    return by_librosa("harmonic, percussive, delta", ask)


@pytest.mark.parametrize("order", [("harmonic", "percussive", "delta"), ("delta", "harmonic", "percussive")])
def test_harmonic_percussive_and_delta_are_the_published_ones(clicks_and_tones, order):
    sound, front_end = clicks_and_tones
    spectrogram = build_spectrogram(front_end, 22050)
    config = ImageConfig(channels=3, top_db=40, delta_width=9, separation=SeparationConfig(order=order))
    image = clip_images(sound[None], spectrogram, config, 2)[0]
    expected = published_channels(build_spectrogram(front_end.model_copy(update={"scale": "power"}), 22050)(sound).T)
    assert image.shape == (expected.shape[2], 4 * expected.shape[1], 3) and image.min() == 0 and image.max() == 1
    for channel, name in enumerate(order):
        theirs = expected[("harmonic", "percussive", "delta").index(name)]
        np.testing.assert_allclose(image[:, ::4, channel], theirs.T, atol=1e-5)
    silence = make_image(np.full((2, 20, 8), -120, np.float32), config, threads=2)
    assert (silence == 0).all() and silence.shape == (2, 20, 8, 3)


def test_images_are_resized_cropped_and_normalised_as_photographs(levels):
    config = ImageConfig(channels=3, resize=64, crop=56, normalise="imagenet")
    image, plain = make_image(levels, config), make_image(levels, ImageConfig(channels=3))
    assert image.shape == (2, 56, 56, 3)
    larger = tf.image.resize(plain, (int(64 * 19 / 12), 64)).numpy()  # shorter side 64
    top = round((larger.shape[1] - 56) / 2)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(image, (larger[:, top : top + 56, 4:60] - mean) / deviation, atol=1e-4)
    spectrogram = build_spectrogram(
        MelSpectrogramConfig(window_s=0.032, hop_s=0.01, low_hz=50, high_hz=4000, bands=12), 8000
    )
    assert image_shape(spectrogram, config, 8000) == (56, 56, 3)
    assert make_image(levels, ImageConfig(resize=64)).shape == (2, 101, 64, 1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"separation": {}}, "channels = 1: separation makes 3"),
        ({"channels": 3, "separation": {"order": ["delta", "delta", "harmonic"]}}, "each of harmonic, percussive and"),
        ({"channels": 3, "separation": {"margin": [1, 0.5]}}, "each is at least 1"),
        ({"channels": 3, "separation": {"width": 30}}, "allowed are odd numbers"),
        ({"resize": 64, "crop": 65}, "crop = 65: allowed is at most resize = 64"),
    ],
)
def test_pictures_that_cannot_be(values, said):
    with pytest.raises(ValidationError, match=said):
        ImageConfig.model_validate(values)


def test_a_graph_and_a_device_refuse_what_needs_medians():
    config = ImageConfig(channels=3, separation=SeparationConfig(), resize=256)
    with pytest.raises(
        ConfigError, match=r"^level\.separation, level\.resize: such images .* to export, train with plain"
    ):
        ImageLayer(config)


def test_mixed_precision_does_not_touch_the_image(levels):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        made = ImageLayer(CONFIGS[2])(levels).numpy()
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(made, make_image(levels, CONFIGS[2]), atol=1e-5)


def test_one_frame_and_more_axes(levels):
    assert make_image(levels[:, :1], CONFIGS[2]).shape == (2, 1, 12, 3)
    assert make_image(levels[None], CONFIGS[3]).shape == (1, 2, 19, 12, 3)
    np.testing.assert_array_equal(make_image(levels[0], CONFIGS[3]), make_image(levels, CONFIGS[3])[0])


def test_what_cannot_be_is_refused(levels):
    for bad in (levels[0, 0], levels[:, :0], levels[..., :0]):
        with pytest.raises(ValueError, match=r"expected \[\.\.\., frames, bands\]"):
            make_image(bad, ImageConfig())
    with pytest.raises(ValueError, match="needs as many"):
        make_image(levels[:, :4], ImageConfig(channels=3, delta_form="polynomial"))
    for values in ({"delta_width": 4}, {"channels": 2}, {"scale": 0}, {"top_db": -1}, {"delta_axis": "frames"}):
        with pytest.raises(ValidationError):
            ImageConfig.model_validate(values)
