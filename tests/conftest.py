"""What tests of several rooms share."""

from __future__ import annotations

import functools
import gc
import os
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# `make test` has a process on each core, and the tests compute little: more threads would only wait for each other, at
# full speed. It is read when a library is imported, so it stands before all of them; processes of tests inherit it.
os.environ |= {f"{name}_THREADS": "1" for name in ("OMP_NUM", "OPENBLAS_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")}

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

settings.register_profile("patient", settings.default, deadline=None)  # examples take long where others work, too
settings.load_profile("patient")

sys.path.insert(0, str(Path(__file__).parent))  # for the helpers that stand beside this file

# What a protocol asks for, TensorFlow has looked up for each number that it is given; Python 3.12 keeps it by itself.
typing._get_protocol_attrs = functools.cache(typing._get_protocol_attrs)


def pytest_collection_finish() -> None:
    """What is imported by now stays; nobody need look for garbage in it, nor after every few objects of a network."""
    if "tensorflow" in sys.modules:
        _share_kernels_of_variables()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def _share_kernels_of_variables() -> None:
    """TensorFlow makes a kernel for each name of a variable, which takes it a millisecond; ours need no names there."""
    from tensorflow.python.eager import context
    from tensorflow.python.ops import gen_resource_variable_ops

    make = gen_resource_variable_ops.var_handle_op

    def make_unnamed(*args: Any, **settings: Any) -> Any:
        return make(*args, **(settings | {"debug_name": ""} if context.executing_eagerly() else settings))

    gen_resource_variable_ops.var_handle_op = make_unnamed


@pytest.fixture(scope="module")
def uncompiled() -> Iterator[None]:
    """A few batches are done before TensorFlow has compiled them."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def _make_clip_run(
    folder: Path, classes: Sequence[str], overrides: Sequence[str], level: float = 0.5, manifest: Path | None = None
) -> Path:
    from ecotf.datasets.manifest import read_manifest
    from ecotf.models.tagger import WEIGHTS
    from ecotf.runs import RunFolder
    from ecotf.runs.splits import draw_splits, first_state
    from ecotf.tasks.clips.network_models import fresh_model
    from ecotf.tasks.clips.recipe import ClipRecipe
    from ecotf.tasks.recipes import load_any_recipe, recipe_text

    recipe = load_any_recipe("birds/small", list(overrides))
    assert isinstance(recipe, ClipRecipe)
    run = RunFolder.create(folder, recipe.name)
    run.write_text("recipe.yaml", recipe_text(recipe))
    if manifest is not None:
        table = pd.read_csv(manifest)
        table["recording"] = [str(manifest.parent / name) for name in table["recording"]]
        run.write_table("manifest.csv", table)
        kept = read_manifest(run.path / "manifest.csv")
        states = {name: first_state(kept.path_of(name)) for name in kept.recordings}
        run.write_table("splits.csv", draw_splits(kept, states, recipe.data.shares, recipe.seed).table)
    run.write_table("labels.csv", pd.DataFrame({"label": classes}))
    model = fresh_model(recipe, classes).network.model
    rng = np.random.default_rng(3)
    for weight in model.weights:
        if "kernel" in weight.path:
            weight.assign(3 * rng.standard_normal(weight.shape) if "class" in weight.path else 2 * weight.numpy())
    with run.writing("model", folder=True) as partial:
        model.save_weights(partial / WEIGHTS)
    levels = dict.fromkeys(classes, level)
    run.write_json("thresholds.json", {"thresholds": levels, "unfitted": [], "events": None})
    run.finish()
    return run.path


@pytest.fixture(scope="session")
def untrained_clip_run() -> Callable[..., Path]:
    """Makes runs of clips that were never trained; their weights are great enough that their answers differ."""
    return _make_clip_run


def _make_loud_run(folder: Path, thresholds: dict[str, float], gate: object = None) -> Path:
    from ecotf.datasets.labels import CALL_LABEL
    from ecotf.features.peaks import MEASURES
    from ecotf.models.heads.trees import fit_trees
    from ecotf.models.saved import build_detector, save_detector
    from ecotf.runs import RunFolder
    from ecotf.tasks.recipes import load_recipe, recipe_text

    overrides = [f"networks.0.backbone.{key}" for key in ("filters=[2, 3, 3]", "squeeze=2", "embedding=4")]
    recipe = load_recipe("bats/field", [*overrides, "trees.n_estimators=6", "trees.eta=0.5"])
    species = [label for label in thresholds if label != CALL_LABEL]
    import keras

    keras.utils.set_random_seed(1)
    detector = build_detector(recipe.front_end, recipe.patches, recipe.networks, species)
    seen = np.random.default_rng(0).uniform(size=(400, 4 + 3 + len(MEASURES))).astype(np.float32)
    strength, band = (seen[:, 4 + 3 + MEASURES.index(name)] for name in ("strength", "strongest band"))
    strength *= 40
    loud = strength > 20
    targets = np.stack([~loud, loud & (band < 0.3), loud & (band > 0.35)], axis=1)
    detector = detector.with_trees(fit_trees(recipe.trees, seen, targets, 1, 1))
    run = RunFolder.create(folder, "bats/field")
    run.write_text("recipe.yaml", recipe_text(recipe))
    run.write_table("labels.csv", pd.DataFrame({"label": species, "training_annotations": 1}))
    run.write_json("thresholds.json", {"thresholds": thresholds, "unfitted": [], "gate": gate})
    with run.writing("model", folder=True) as partial:
        save_detector(detector, partial)
    run.finish()
    return run.path


@pytest.fixture(scope="session")
def make_loud_run() -> Callable[..., Path]:
    """Makes complete runs of two species that know no bat: their trees call what is loud, and name it by its band."""
    return _make_loud_run
