"""Images of clips: against librosa, torchaudio's definition and a plain statement; numpy and the graph agree."""

from __future__ import annotations

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from ecotf.features.delta import delta
from ecotf.features.image import ImageConfig, make_image
from ecotf.features.image_layer import ImageLayer

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
    for clip in image:
        for order in (1, 2):
            expected = librosa.feature.delta(clip[..., 0].astype(float), width=5, order=order, axis=along)
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
