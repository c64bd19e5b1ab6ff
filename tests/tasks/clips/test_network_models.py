"""A network that goes on into the next stage is what a new one would be; a resumed training has to build that one."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from ecotf.tasks.clips.network_models import NetworkModels
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import stage_name
from ecotf.tasks.recipes import load_any_recipe

TINY = "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}"
CLASSES = ("owl", "wren")


def state_of(network: Any) -> list[Any]:
    """All variables, whether its layers learn, and the numbers that would be drawn next."""
    numbers = [variable.numpy() for variable in network.model.variables]
    drawn = [random.random(), np.random.random(), tf.random.uniform(()).numpy()]  # noqa: NPY002 - also the old way
    return [*numbers, *([layer.trainable for layer in network.model.layers]), *drawn]


def test_the_next_stage_has_the_network_as_if_it_were_new(tmp_path):
    recipe = load_any_recipe("birds/small", [TINY, "clips.seconds=1.2", "inference.segment_s=1.0"])
    assert isinstance(recipe, ClipRecipe)
    run: Any = SimpleNamespace(file=lambda name: tmp_path / name)
    folder = tmp_path / stage_name(0, recipe.stages[0])
    folder.mkdir(parents=True)
    models, resumed = NetworkModels(recipe), NetworkModels(recipe)
    first, _ = models.begin(0, CLASSES, run)
    image = np.random.default_rng(0).normal(size=(2, *recipe.image_shape)).astype(np.float32)
    first.freeze(["backbone"])
    first.model(image, training=True)  # dropout draws
    state_of(first)  # and so does anybody else
    first.freeze(())
    first.model.set_weights([weight + 0.5 for weight in first.model.get_weights()])
    models.keep(first, CLASSES, folder)

    again, told = models.begin(1, CLASSES, run)
    seen = state_of(again)
    new, told_new = resumed.begin(1, CLASSES, run)
    assert again is first and new is not first and told == told_new
    assert len(again.model.variables) > len(again.model.weights), "there are dropouts"
    for mine, theirs in zip(seen, state_of(new), strict=True):
        np.testing.assert_array_equal(mine, theirs)

    assert models.finished(folder, CLASSES).network is first
    other, _ = models.begin(1, (*CLASSES, "robin"), run)
    assert other is not first and other.head.output["clip"].shape[-1] == 3
    loaded = NetworkModels(recipe).finished(folder, CLASSES).network
    for name, values in first.model(image, training=False).items():
        np.testing.assert_array_equal(loaded.model(image, training=False)[name], values)


def test_a_network_that_classifies_in_other_parts_is_built(tmp_path: Path):
    changes = [TINY, "clips.seconds=2.4", "network.parts=2", "inference.parts=1", "inference.segment_s=1.2"]
    recipe = load_any_recipe("birds/small", changes)
    assert isinstance(recipe, ClipRecipe)
    models = NetworkModels(recipe)
    network, _ = models.begin(0, CLASSES, SimpleNamespace())  # type: ignore[arg-type]
    models.keep(network, CLASSES, tmp_path)
    finished = models.finished(tmp_path, CLASSES).network
    assert finished is not network and finished.config.parts == 1
