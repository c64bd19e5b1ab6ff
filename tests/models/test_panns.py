"""The models of PANNs: as many numbers as published, and a checkpoint's answers to the last layer."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from ecotf.errors import ConfigError
from ecotf.features.configs import WavegramConfig
from ecotf.features.image import ImageConfig
from ecotf.features.spectrogram import build_spectrogram
from ecotf.models.backbones.fused_norm import BatchNormalization
from ecotf.models.front_ends import GraphFrontEnd
from ecotf.models.image_network import ClipNetwork, ClipNetworkConfig, build_clip_network
from ecotf.models.published import MODELS
from ecotf.models.published.base import find_model

PARAMETERS = {
    "cnn14": 80_753_615, "resnet38": 73_783_247, "wavegram_logmel_cnn14": 81_065_487, "mobilenet_v1": 4_796_303,
    "cnn10": 5_219_279, "cnn6": 4_837_455,
}  # fmt: skip
OF_IMAGES = tuple(name for name in PARAMETERS if not name.startswith("wavegram"))
CLASSES, FRAMES, RATE, WIDTH = 5, 101, 32_000, 0.125  # frames that do not halve evenly
SAMPLES = 100 * 320


def network_of(name: str, classes: int = CLASSES, width: float = 1.0) -> ClipNetwork:
    wavegram = name not in OF_IMAGES
    backbone = {"name": "cnn14", "first_block": False} if wavegram else {"name": name}
    values = {"backbone": {**backbone, "width": width}, "head": {"name": "panns"}, "band_norm": True}
    config = ClipNetworkConfig.model_validate(values)
    if not wavegram:
        return build_clip_network(config, classes, (FRAMES, 64, 1))
    front_end = GraphFrontEnd(front_end_of(width), ImageConfig(top_db=None, offset=0.0, scale=1.0), RATE, True)
    return build_clip_network(config, classes, (SAMPLES, 1, 1), front_end=front_end)


def front_end_of(width: float = 1.0) -> WavegramConfig:
    return WavegramConfig(
        window_s=0.032, hop_s=0.01, low_hz=50.0, high_hz=14_000.0, bands=64, centred=True, power="plain",
        mel_scale="slaney", scale="db", floor_db=-100.0, width=width,
    )  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_with_527_classes_they_have_as_many_parameters_as_published(name):
    with keras.StatelessScope():  # no memory is taken for them
        assert network_of(name, 527).n_parameters == PARAMETERS[name]


def checkpoint_of(name: str):
    """A random checkpoint, what a network of ours takes, and what plain PyTorch makes of it."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'ecotf[torch]')")
    import panns_in_torch

    tensors, rng = panns_in_torch.Tensors(WIDTH), np.random.default_rng(0)
    with torch.no_grad():
        if name in OF_IMAGES:
            images = rng.normal(0, 1, (2, FRAMES, 64, 1)).astype(np.float32)
            seen = torch.from_numpy(images[..., 0])
            logits = panns_in_torch.OF_IMAGES[name](tensors, seen, CLASSES).numpy()
        else:
            sound = rng.normal(0, 0.3, (2, SAMPLES)).astype(np.float32)
            levels = torch.from_numpy(build_spectrogram(front_end_of(), RATE).batch(sound))
            logits = panns_in_torch.wavegram_logmel_cnn14(tensors, levels, torch.from_numpy(sound), CLASSES).numpy()
            images = sound[..., None, None]
    state = {key: value.numpy() for key, value in tensors.state.items()}
    return state, images, logits, {key: value.numpy() for key, value in tensors.given.items()}


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_checkpoint_gives_the_same_layer_by_layer(name):
    state, images, logits, given = checkpoint_of(name)
    published = find_model(MODELS, state, None, "here")
    assert published.name == name
    assert f"network.backbone.width={WIDTH:g}" in published.overrides(state)
    assert published.n_classes(state, "here") == CLASSES
    network = network_of(name, width=WIDTH)
    published.carry(state, network, "here")
    assert apart(network.model(images, training=False)["clip"].numpy(), logits) < 1e-5
    *before, _ = network.model.layers[1:]
    compared, seen = {"embedding", "fc1", "fc_audioset"}, images
    for part in before:  # every normalisation in every part
        layers = {layer.name: layer.output for layer in getattr(part, "layers", [])
                  if isinstance(layer, keras.layers.BatchNormalization)}  # fmt: skip
        answers = keras.Model(part.inputs[0], layers)(seen, training=False) if layers else {}
        seen = part(seen, training=False)
        if part.name == "band_norm":
            answers = {part.name: seen}
        for layer, values in answers.items():
            module = published.module_of(layer)
            # (batch, bands, frames, 1) of the bands; else the channels are the last axis of ours
            expected = given[module].swapaxes(1, 2) if module == "bn0" else np.moveaxis(given[module], 1, -1)
            assert apart(values.numpy(), expected) < 1e-5, module
            compared.add(module)
    assert compared == set(given)
    assert apart(network.embedding(seen).numpy(), given["embedding"]) < 1e-5


@pytest.mark.parametrize("shape", [(3, 20, 4, 5), (3, 40, 5)])
def test_the_quick_normalisation_is_that_of_keras(shape):
    x = tf.constant(np.random.default_rng(0).normal(3, 2, shape).astype(np.float32))
    found = {}
    for kind in (keras.layers.BatchNormalization, BatchNormalization):
        layer = kind(momentum=0.9, epsilon=1e-5)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y**3)
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        found[kind] = [y, *gradients, layer.moving_mean, layer(x, training=False)]
    *trained, after = zip(*found.values(), strict=True)
    for keras_gave, fused_gave in trained:
        np.testing.assert_allclose(fused_gave, keras_gave, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(*after, rtol=0.01, atol=1e-3)  # n - 1, not n, of 120 and more numbers


def test_the_quick_normalisation_reads_the_weights_that_keras_wrote(tmp_path):
    def model(layer):
        inputs = keras.Input((6, 4))
        return keras.Model(inputs, layer()(layer()(inputs)))

    slow, quick = model(keras.layers.BatchNormalization), model(BatchNormalization)
    random = np.random.default_rng(0)
    slow.set_weights([random.uniform(1, 2, one.shape) for one in slow.get_weights()])
    slow.save_weights(tmp_path / "slow.weights.h5")
    quick.load_weights(tmp_path / "slow.weights.h5")
    np.testing.assert_array_equal(quick.get_weights(), slow.get_weights())


def test_what_does_not_fit_is_named():
    state, *_ = checkpoint_of("cnn6")
    published, network = find_model(MODELS, state, None, "here"), network_of("cnn6", width=WIDTH)
    less = {key: value for key, value in state.items() if key != "conv_block3.bn1.running_var"}
    wrong = [
        (less, "here: tensor 'conv_block3.bn1.running_var' is missing; a checkpoint of cnn6 has it"),
        ({**state, "fc2.weight": state["fc1.weight"]}, "here: tensor 'fc2.weight' has no place in cnn6"),
        (
            {**state, "bn0.weight": np.ones(40)},
            "here: tensor 'bn0.weight' has shape (40,); cnn6 of this width has (64,)",
        ),
    ]
    before = network.model.get_weights()
    for changed, message in wrong:
        with pytest.raises(ConfigError, match=re.escape(message)) as error:
            published.carry(changed, network, "here")
        assert "\n" not in str(error.value)
    for old, new in zip(before, network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # nothing was carried
    with pytest.raises(ConfigError, match="no published model is called so; known: cnn14, "):
        find_model(MODELS, state, "vgg", "--model vgg")
    with pytest.raises(ConfigError, match=r"here: looks like none of cnn14, .*first tensor is 'layer1.weight'"):
        find_model(MODELS, {"layer1.weight": np.ones(3)}, None, "here")
