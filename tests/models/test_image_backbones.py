"""Backbones of clips: the sizes their authors give, any number of frames, and where their weights come from."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format
from pydantic import TypeAdapter

from ecotf.errors import ConfigError
from ecotf.models.backbones import ImageBackbone, build_backbone
from ecotf.models.backbones.grouped import GroupedConv2D
from ecotf.models.backbones.residual import convolve, deep_stem, join

CONFIG: TypeAdapter = TypeAdapter(ImageBackbone)
SMALL = {"name": "small", "stem": 4, "filters": (4, 6, 8), "blocks": (1, 1, 1), "features": 10}
GREY = np.random.default_rng(0).uniform(0, 1, (1, 64, 32, 1)).astype(np.float32)
COLOUR = np.repeat(GREY, 3, axis=-1)


def built(bands: int = 32, channels: int = 1, **values):
    return build_backbone(CONFIG.validate_python(values), (None, bands, channels))


# --- sizes -----------------------------------------------------------------------------------------------------------

# what can be learned, with three channels and a classifier of 1000 classes on top, as timm counts it
PUBLISHED = {
    "densenet121": (7_978_856, 1024),
    "resnet18": (11_689_512, 512),
    "efficientnet_v2_s": (21_458_488, 1280),
    "efficientnet_v2_b0": (7_139_704, 1280),
    "efficientnet_b0": (5_288_548, 1280),
    "efficientnet_b3": (12_233_232, 1536),
    "resnet34d": (21_816_904, 512),
    "seresnext26t": (16_806_976, 2048),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_of_parameters(name):
    backbone = built(channels=3, name=name)
    expected, features = PUBLISHED[name]
    learned = sum(int(np.prod(weight.shape)) for weight in backbone.trainable_weights)
    assert learned + 1000 * features + 1000 == expected
    assert backbone.input_shape == (None, None, 32, 3)
    assert backbone.output_shape == (None, None, 1, features)
    assert np.isfinite(backbone(COLOUR)).all()


@pytest.mark.parametrize(("name", "features"), [("mobilenet_v3_small", 576), ("mobilenet_v3_large", 960)])
def test_mobilenets_end_before_their_classifier(name, features):
    assert built(64, name=name).output_shape == (None, None, 2, features)


@pytest.mark.parametrize("width", [1, 2])
def test_a_convolution_that_leaves_one_column_reads_no_memory_of_others(width):
    """In bfloat16, memory that held NaN came through now and then (TensorFlow 2.16 on processors with AMX)."""
    image = np.random.default_rng(0).normal(size=(6, 3, width, 256)).astype(np.float32)
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3, width, 256))
    exact = keras.Model(inputs, convolve(inputs, 512, 3, 2))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        rough = keras.Model(inputs, convolve(inputs, 512, 3, 2))
    finally:
        keras.config.set_dtype_policy("float32")
    rough.set_weights(exact.get_weights())
    assert rough.output_shape == exact.output_shape == (None, 2, 1, 512)
    expected = exact(image)
    for _ in range(10):
        left_behind = [tf.fill([n], tf.constant(np.nan, tf.bfloat16)) for n in (64, 512, 4096, 65536) for _ in range(8)]
        del left_behind
        np.testing.assert_allclose(tf.cast(rough(image), tf.float32), expected, atol=0.1)


def test_resnet34_d_differs_from_resnet34_in_stem_and_shortcuts():
    """ResNet-34 has 21 797 672 parameters (torchvision); "D" has 3 by 3 convolutions for the one of 7 by 7."""
    stem = (3 * 32 + 32 * 32 + 32 * 64) * 9 + 2 * (32 + 32 + 64)
    assert PUBLISHED["resnet34d"][0] == 21_797_672 - (3 * 64 * 49 + 2 * 64) + stem


# --- pieces ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
def test_grouped_convolution_is_keras_own(stride):
    x = np.random.default_rng(1).normal(size=(2, 9, 7, 8)).astype(np.float32)
    ours, theirs = (layer(12, 3, stride, groups=4, use_bias=False) for layer in (GroupedConv2D, keras.layers.Conv2D))
    expected = theirs(x)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), expected, atol=1e-5)
    assert GroupedConv2D.from_config(ours.get_config()).groups == 4


def test_the_stem_divides_by_four_and_the_shortcut_averages():
    inputs = keras.Input((None, 32, 3))
    assert deep_stem(inputs, (24, 32, 64)).shape == (None, None, 8, 64)
    x, branch = keras.Input((5, 6, 2)), keras.Input((3, 3, 2))
    block = keras.Model([x, branch], join(x, branch, 2, 2, 0.0))
    values = np.random.default_rng(2).normal(size=(1, 5, 6, 2)).astype(np.float32)
    made = block([values, np.zeros((1, 3, 3, 2), np.float32)]).numpy()
    for i in range(3):  # the odd last row is averaged alone
        for j in range(3):
            mean = values[0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(axis=(0, 1))
            np.testing.assert_allclose(made[0, i, j], np.maximum(mean, 0), atol=1e-6)


def test_the_small_one_knows_how_high_a_note_is():
    """Every band has a bias of its own, which a convolution has not; time is halved four times, frequency five."""
    backbone = built(64, **SMALL)
    assert built(64, name="small").output_shape == (None, None, 2, 384)
    assert backbone(np.zeros((1, 65, 64, 1), np.float32)).shape == (1, 5, 4, 10)
    bias = next(weight for weight in backbone.trainable_weights if weight.path.startswith("band_bias"))
    assert bias.shape == (1, 1, 32, 4)
    assert not any(weight.path.startswith("band_bias") for weight in built(64, **SMALL, band_bias=False).weights)


@pytest.mark.parametrize("activation", ["relu6", "hard_swish"])
def test_the_small_one_has_variants(activation):
    plain = built(**SMALL)
    other = built(**SMALL, activation=activation, squeeze=4, expand=2)
    assert other.count_params() != plain.count_params()
    assert np.isfinite(other(GREY)).all()


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_from_a_file(tmp_path, ending):
    donor, path = built(**SMALL), tmp_path / f"donor{ending}"
    donor.save_weights(path) if ending == ".weights.h5" else donor.save(path)
    np.testing.assert_array_equal(built(**SMALL, weights=str(path))(GREY), donor(GREY))


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_for_three_channels_serve_one(tmp_path, ending):
    """A grey image through one channel is the same as the image in all three."""
    donor, path = built(channels=3, **SMALL), tmp_path / f"donor{ending}"
    donor.save_weights(path) if ending == ".weights.h5" else donor.save(path)
    np.testing.assert_allclose(built(**SMALL, weights=str(path))(GREY), donor(COLOUR), atol=1e-5)


def published_file(path: Path, name: str) -> keras.Model:
    """A file as keras.applications publishes them, of random numbers."""
    raw = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(None, 32, 3))
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, raw)
    return raw


def test_files_of_keras_applications(tmp_path, monkeypatch):
    """Their networks scale photographs first; ours takes the image as it is."""
    path, name = tmp_path / "published_notop.h5", "mobilenet_v3_small"
    raw = published_file(path, "MobileNetV3Small")
    backbone = built(name=name, weights=str(path))
    # photographs of 0..255, which the raw network brings to the range that the images have
    np.testing.assert_allclose(backbone(GREY), raw((COLOUR + 1) * 127.5), atol=1e-5)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    np.testing.assert_array_equal(built(name=name, weights="imagenet")(GREY), backbone(GREY))


def test_a_preset_that_cannot_be_downloaded(monkeypatch):
    def offline(*_: object, **__: object) -> None:
        raise Exception("URL fetch failure on https://example.org/weights.h5: None --\n[Errno -2] Name not known")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", offline)
    with pytest.raises(ConfigError, match=r"cannot be downloaded.*allowed: 'none', 'imagenet', or the path") as error:
        built(name="mobilenet_v3_small", weights="imagenet")
    assert "\n" not in str(error.value)


def test_weights_that_cannot_be_had(tmp_path):
    path = tmp_path / "x.weights.h5"
    path.write_bytes(b"no weights")
    whole = tmp_path / "x.keras"
    whole.write_bytes(b"no network")
    other = tmp_path / "other.keras"
    built(**{**SMALL, "stem": 5}).save(other)
    deeper = tmp_path / "deeper.keras"
    built(**{**SMALL, "blocks": (1, 2, 1)}).save(deeper)
    for weights, match in (
        ("imagenet", "no such preset for this network; allowed: 'none', or the path"),
        ("imagenet21k", "no preset and no weights file"),
        (str(tmp_path / "y.keras"), "no such file"),
        (str(tmp_path / "y.h5"), "no preset and no weights file"),
        (str(path), "damaged"),
        (str(whole), "damaged"),
        (str(other), "it is another one"),
        (str(deeper), "it is another one"),
    ):
        with pytest.raises(ConfigError, match=match) as error:
            built(**SMALL, weights=weights)
        assert "\n" not in str(error.value)
