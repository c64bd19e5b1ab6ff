"""The models of PANNs: as many numbers as published, and a checkpoint's answers to the last layer."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

from ecotf.errors import ConfigError
from ecotf.models.image_network import ClipNetwork, ClipNetworkConfig, build_clip_network
from ecotf.models.published import MODELS
from ecotf.models.published.base import find_model

PARAMETERS = {
    "cnn14": 80_753_615, "resnet38": 73_783_247, "mobilenet_v1": 4_796_303, "cnn10": 5_219_279, "cnn6": 4_837_455,
}  # fmt: skip
CLASSES, FRAMES = 5, 101  # frames that do not halve evenly


def network_of(name: str, classes: int = CLASSES, width: float = 1.0, **head: int) -> ClipNetwork:
    backbone = {"name": name, "width": width}
    config = {"backbone": backbone, "head": {"name": "panns", **head}, "band_norm": True}
    return build_clip_network(ClipNetworkConfig.model_validate(config), classes, (FRAMES, 64, 1))


@pytest.mark.parametrize("name", PARAMETERS)
def test_with_527_classes_they_have_as_many_parameters_as_published(name):
    with keras.StatelessScope():  # no memory is taken for them
        assert network_of(name, 527).n_parameters == PARAMETERS[name]


def checkpoint_of(name: str, width: float):
    """A random checkpoint, images, and what plain PyTorch makes of them."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'ecotf[torch]')")
    from panns_in_torch import OF_IMAGES, Tensors

    tensors = Tensors(width)
    images = np.random.default_rng(0).normal(-30, 15, (2, FRAMES, 64)).astype(np.float32) / 20
    with torch.no_grad():
        logits = OF_IMAGES[name](tensors, torch.from_numpy(images), CLASSES).numpy()
    state = {key: value.numpy() for key, value in tensors.state.items()}
    return state, images[..., None], logits, {key: value.numpy() for key, value in tensors.given.items()}


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_checkpoint_gives_the_same_layer_by_layer(name):
    state, images, logits, given = checkpoint_of(name, 0.125)
    published = find_model(MODELS, state, None, "here")
    assert published.name == name
    assert published.overrides(state) == ("network.backbone.width=0.125",)
    assert published.n_classes(state, "here") == CLASSES
    network = network_of(name, width=0.125)
    published.carry(state, network, "here")
    assert apart(network.model(images, training=False)["clip"].numpy(), logits) < 1e-5
    *before, head = network.model.layers[1:]
    features = images
    for layer in before:
        seen, features = features, layer(features, training=False)
    assert apart(network.embedding(features).numpy(), given["embedding"]) < 1e-5
    layers = {layer.name: layer.output for layer in network.backbone.layers
              if isinstance(layer, keras.layers.BatchNormalization)}  # fmt: skip
    answers = keras.Model(network.backbone.inputs[0], layers)(seen, training=False)
    assert {published.module_of(layer) for layer in layers} == set(given) - {"bn0", "fc1", "fc_audioset", "embedding"}
    for layer, values in answers.items():
        expected = np.moveaxis(given[published.module_of(layer)], 1, -1)
        assert apart(values.numpy(), expected) < 1e-5, layer


def test_what_does_not_fit_is_named():
    state, *_ = checkpoint_of("cnn6", 0.125)
    published, network = find_model(MODELS, state, None, "here"), network_of("cnn6", width=0.125)
    less = {key: value for key, value in state.items() if key != "conv_block3.bn1.running_var"}
    wrong = [
        (less, "here: tensor 'conv_block3.bn1.running_var' is missing; a checkpoint of cnn6 has it"),
        ({**state, "fc2.weight": state["fc1.weight"]}, "here: tensor 'fc2.weight' has no place in cnn6"),
        ({**state, "bn0.weight": np.ones(40)}, "here: tensor 'bn0.weight' has shape (40,); cnn6 of this width has (64,)"),
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
    with pytest.raises(ConfigError, match="here: looks like none of cnn14, .*first tensor is 'layer1.weight'"):
        find_model(MODELS, {"layer1.weight": np.ones(3)}, None, "here")
