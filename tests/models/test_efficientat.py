"""A checkpoint of EfficientAT gives here what it gives in PyTorch, layer by layer, and names itself."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

from ecotf.errors import ConfigError
from ecotf.models.image_network import ClipNetwork, build_clip_network
from ecotf.models.published import MODELS
from ecotf.models.published.base import find_model
from ecotf.tasks.recipes import load_any_recipe

CLASSES, FRAMES, BANDS = 5, 101, 128  # frames that do not halve evenly


def network_of(name: str, *overrides: str) -> ClipNetwork:
    return build_clip_network(load_any_recipe(f"tagging/{name}", overrides).network, CLASSES, (FRAMES, BANDS, 1))


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_a_checkpoint_gives_the_same_layer_by_layer():
    """Of mn01, whose first blocks do not widen, unlike those of all others."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'ecotf[torch]')")
    from mn_in_torch import random_model

    model, given = random_model(0.1, CLASSES)
    state = {key: values.numpy() for key, values in model.state_dict().items()}
    published = find_model(MODELS, state, None, "here")
    assert published.name == "mn01" and published.overrides(state) == ()
    assert published.n_classes(state, "here") == CLASSES
    network = network_of("mn01")
    published.carry(state, network, "here")

    images = np.random.default_rng(0).normal(0, 1, (2, FRAMES, BANDS, 1)).astype(np.float32)
    with torch.no_grad():
        logits = model(torch.from_numpy(images).permute(0, 3, 2, 1)).numpy()
    assert apart(network.model(images, training=False)["clip"].numpy(), logits) < 1e-4
    compared, seen = set(), images
    for part in (network.backbone, network.head):
        layers = {layer.name: layer.output for layer in part.layers
                  if isinstance(layer, keras.layers.BatchNormalization) or layer.name == "classes"}  # fmt: skip
        answers = keras.Model(part.inputs[0], layers)(seen, training=False)
        for layer, values in answers.items():
            module = published.module_of(layer)
            expected = given[module].numpy()
            expected = expected.transpose(0, 3, 2, 1) if expected.ndim == 4 else expected
            assert apart(values.numpy(), expected) < 1e-4, module
            compared.add(module)
        seen = part(seen, training=False)
    inner = {name for name in given if "fc" in name or name == "classifier.2"}  # activated in one layer with us
    assert compared == set(given) - inner and len(compared) > 40


@pytest.mark.parametrize(("name", "width"), [("mn02", 0.2), ("mn04", 0.4), ("mn05", 0.5), ("mn10", 1.0)])
def test_every_width_is_known_by_its_checkpoint(name, width):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'ecotf[torch]')")
    from mn_in_torch import Published

    with torch.device("meta"):  # no memory is taken for it
        state = {key: np.broadcast_to(np.float32(0), tuple(values.shape))
                 for key, values in Published(width, CLASSES).state_dict().items()}  # fmt: skip
    published = find_model(MODELS, state, None, "here")
    assert published.name == name and published.overrides(state) == ()
    with keras.StatelessScope():
        network = network_of(name)
    layers = [layer for part in (network.backbone, network.head) for layer in part.layers if layer.weights]
    modules = {published.module_of(layer.name) for layer in layers}
    assert modules == {key.rpartition(".")[0] for key in state}


def test_wider_ones_and_what_does_not_fit():
    shapes = {"features.0.0.weight": (32, 1, 3, 3), "features.1.block.0.0.weight": (32, 1, 3, 3),
              "classifier.2.weight": (2560, 1920), "classifier.5.weight": (527, 2560)}  # fmt: skip
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    wide = find_model(MODELS, state, None, "here")
    assert wide.recipe == "tagging/mn10"
    recipe = load_any_recipe(wide.recipe, wide.overrides(state))
    assert (recipe.network.backbone.width, recipe.network.head.units) == (2.0, 2560)
    network = network_of("mn01")
    message = "here: tensor 'features.0.0.weight' has shape (32, 1, 3, 3); mn01 of this width has (8, 1, 3, 3)"
    with pytest.raises(ConfigError, match=re.escape(message)):
        find_model(MODELS, state, "mn01", "here").carry(state, network, "here")
    other_head = {name: values for name, values in state.items() if not name.startswith("classifier")}
    with pytest.raises(ConfigError, match=r"here: looks like none of cnn14, .*mn10"):
        find_model(MODELS, other_head, None, "here")
