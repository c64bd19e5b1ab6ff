"""What every backbone must do; a new one is tested by being registered."""

from __future__ import annotations

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from ecotf.config import Config, validate
from ecotf.errors import ConfigError
from ecotf.models.backbones import BACKBONES, BackboneConfig, ImageBackbone, PatchBackbone, build_backbone
from ecotf.models.heads import HEADS
from ecotf.registry import Entry

REAL = "ECOTF_REAL_BACKBONES"
# Narrow, where a backbone can be: the contract does not depend on the width.
NARROW = {
    "cnn10": {"width": 0.0625},
    "cnn14": {"width": 0.0625},
    "cnn6": {"width": 0.0625},
    "cnn": {"convolutions": 2, "filters": 4, "kernel": 3, "dense_units": 6},
    "field_cnn": {"filters": (4, 4, 4), "squeeze": 2, "embedding": 5},
    "mn": {"width": 0.05},
    "mobilenet_v1": {"width": 0.125},
    "resnet38": {"width": 0.0625},
    "plain": {"stem": 4, "filters": (4, 6), "convolutions": 1},
    "small": {"stem": 4, "filters": (4, 6, 8), "blocks": (1, 1, 1), "features": 10},
}
# One of each family is trained; the others are the same code with more layers.
LARGE = (
    "cnn10",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_b3",
    "efficientnet_v2_s",
    "mobilenet_v3_large",
    "resnet34d",
)

EVERY = [
    pytest.param(entry, id=entry.name, marks=[pytest.mark.slow] if entry.name in LARGE else [])
    for entry in BACKBONES
    if entry.name not in LARGE or os.environ.get(REAL)
]


def config_of(entry: Entry) -> BackboneConfig:
    return validate(entry.config_class, {"name": entry.name, **NARROW.get(entry.name, {})}, "test")


def shape_of(config: BackboneConfig) -> tuple[int, int, int]:
    length, bands = config.smallest
    return max(length, 16), max(bands, 16), (*config.channels, 1)[0]


def built(config: BackboneConfig, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build_backbone(config, shape_of(config))


@pytest.mark.parametrize("entry", list(BACKBONES), ids=lambda entry: entry.name)
def test_a_config_comes_back(entry):
    config = config_of(entry)
    key = TypeAdapter(PatchBackbone if config.takes == "patch" else ImageBackbone)
    assert key.validate_python(config.model_dump(mode="json")) == config
    assert key.validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("entry", EVERY)
def test_it_is_built_trained_saved_and_loaded(entry, tmp_path):
    config = config_of(entry)
    backbone, again = built(config, 1), built(config, 1)
    for a, b in zip(backbone.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # the seed decides

    x = np.random.default_rng(0).uniform(0, 1, (2, *shape_of(config))).astype(np.float32)
    before = backbone(x, training=False).numpy()
    assert before.ndim == (2 if config.takes == "patch" else 4)
    assert len(before) == 2
    if config.takes == "image":
        longer = np.concatenate([x, x], axis=1)
        assert backbone(longer, training=False).shape[1] > before.shape[1]  # clips of any length

    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(backbone(x, training=True) ** 2)
    gradients = tape.gradient(loss, backbone.trainable_variables)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    for variable, gradient in zip(backbone.trainable_variables, gradients, strict=True):
        variable.assign(variable - 1e-4 * tf.sign(gradient))  # Adam's first step, without the variables that it makes

    backbone.save_weights(tmp_path / "b.weights.h5")
    again.load_weights(tmp_path / "b.weights.h5")
    for a, b in zip(backbone.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    after = again(x, training=False).numpy()
    assert np.isfinite(after).all()
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("entry", list(BACKBONES), ids=lambda entry: entry.name)
def test_what_it_cannot_take_is_said_in_one_line(entry):
    config = config_of(entry)
    (length, bands, channels), least = shape_of(config), config.smallest
    wrong = [((length, bands, 2), "2 channels; allowed: ")] if config.channels else []
    if least[0] > 1:
        wrong.append(((least[0] - 1, bands, channels), f"too small; allowed: at least {least[0]} by {least[1]}"))
    if least[1] > 1:
        wrong.append(((length, least[1] - 1, channels), f"too small; allowed: at least {least[0]} by {least[1]}"))
    for shape, message in wrong:
        with pytest.raises(ConfigError, match=message) as error:
            build_backbone(config, shape)
        assert f"backbone {entry.name}: " in str(error.value)
        assert "\n" not in str(error.value)


class _Recipe(Config):
    patch: PatchBackbone
    image: ImageBackbone


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patch": {"name": "sed"}}, "patch: 'sed' is a head, not a backbone; allowed: 'cnn', 'field_cnn', 'resnet50'"),
        ({"patch": {"name": "small"}}, "patch: 'small' is a backbone with takes = image; here takes = patch is needed"),
        ({"image": {"name": "cnn"}}, "image: 'cnn' is a backbone with takes = patch; here takes = image is needed"),
        ({"patch": {"name": "resnet"}}, "patch: name 'resnet' is unknown; allowed: 'cnn', 'field_cnn', 'resnet50'"),
        ({"patch": {}}, "patch: key 'name' is missing; allowed: 'cnn', 'field_cnn', 'resnet50'"),
        ({"patch": {"name": "cnn", "filtres": 4}}, "unknown key 'patch.filtres'.*did you mean 'filters'"),
    ],
)
def test_a_recipe_that_names_something_else(values, message):
    assert "sed" in HEADS
    fine = {"patch": {"name": "cnn"}, "image": {"name": "small"}}
    with pytest.raises(ConfigError, match=message) as error:
        validate(_Recipe, {**fine, **values}, "recipe.yaml")
    assert "\n" not in str(error.value)
