"""Every bird recipe trains a step per stage: always with a tiny backbone, and, when asked for, with its own.

    ECOTF_REAL_BACKBONES=1 pytest tests/training/test_bird_recipes.py -s

trains the networks as they are, in the recipes' own images and clips, and takes some ten minutes of a core.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clip_runs import TINY, beeps, train

from ecotf.config import read_yaml
from ecotf.datasets.manifest import Manifest
from ecotf.errors import ConfigError
from ecotf.tasks.clips.network_models import fresh_model
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.recipe_files import FOLDER, recipe_names
from ecotf.tasks.recipes import EnsembleRecipe, load_any_recipe

REAL = "ECOTF_REAL_BACKBONES"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    """A batch of each stage: six recordings to train on, four of them of the classes of the later stages."""
    return beeps(tmp_path_factory.mktemp("beeps"), ("train", "train", "valid", "test"), ("robin", "wren", "owl"), 1.2)


# Those with a base train as that one does; those with an embedder fit a head (tests/tasks/clips/test_transfer.py).
KEYS = {name: set(read_yaml(FOLDER / f"{name}.yaml")) for name in recipe_names("clips")}
NETWORKS = [name for name, keys in KEYS.items() if "embedder" not in keys]
BY_SPECIES = [name for name in NETWORKS if load_any_recipe(name).data.split_by == "species"]
UNLIKE = [name for name in NETWORKS if "base" not in KEYS[name] and name not in BY_SPECIES]
_LENGTHS = {"title", "epochs", "learning_rate", "schedule", "batch", "patience", "sound", "image"}  # equal in a test


def kinds_of(name: str) -> set[str]:
    """The kinds of stages of a recipe, with its head: what is left where lengths and the backbone do not count."""
    recipe = load_any_recipe(name)
    head = repr(recipe.network.head)  # type: ignore[union-attr]
    return {head + repr(stage.model_dump(exclude=_LENGTHS)) for stage in recipe.stages}  # type: ignore[union-attr]


def of_their_own(names: list[str]) -> list[str]:
    """Those that have a kind of stage which no other one has; of recipes with the same kinds the last."""
    kept = dict[str, set[str]]()
    for name in names:
        own = kinds_of(name)
        kept = {other: kinds for other, kinds in kept.items() if not kinds <= own}
        if not any(own <= kinds for kinds in kept.values()):
            kept[name] = own
    return list(kept)


# A batch of four clips, and one of them.
FEW = {
    "fit_episodes": ("episodes={way: 2, shots: 1, queries: 1, episodes: 1}",),
    "fit_contrast": ("classes=2", "clips=1", "views=2", "batches=1"),
}


def one_step(name: str, *overrides: str) -> ClipRecipe:
    """The recipe with one epoch a stage; of the published augmentation what needs no long sound."""
    stages = load_any_recipe(name).stages  # type: ignore[union-attr]
    each = [f"stages.{number}.{key}" for number in range(len(stages)) for key in ("epochs=1", "batch=6")]
    each += [f"stages.{number}.sampler.clips=6" for number, stage in enumerate(stages) if stage.sampler.clips]
    each += [f"stages.{number}.draws.clips=6" for number, stage in enumerate(stages) if hasattr(stage, "draws")]
    if any(stage.name == "fit_onsets" for stage in stages):  # which learns only where events are made of onsets
        each.append("inference.events.joined=0")
    recipe = load_any_recipe(name, [*each, *overrides])
    assert isinstance(recipe, ClipRecipe)
    return recipe


def check_run(recipe: ClipRecipe, path: Path) -> None:
    """It was trained in all stages, judged, and what was saved is a model that answers."""
    history = pd.read_csv(path / "history.csv")
    assert history["stage"].tolist() == [stage.title for stage in recipe.expanded().stages]
    assert np.isfinite(history["loss"]).all() and set(history["clips"]) <= {4, 6}
    assert (path / "model" / "network.weights.h5").is_file()


@pytest.mark.parametrize("name", UNLIKE)
def test_every_recipe_makes_the_images_that_its_network_takes(name):
    """Front end, levels and length are its own even where it trains in the same stages as another."""
    recipe = load_any_recipe(name, [TINY])
    assert isinstance(recipe, ClipRecipe)
    sound = 0.1 * np.random.default_rng(0).standard_normal((1, round(recipe.clips.seconds * recipe.sample_rate)))
    image = fresh_model(recipe, ("owl",), pretrained=False).images(sound.astype(np.float32))
    assert image.shape == (1, *recipe.image_shape) and np.isfinite(image).all() and np.ptp(image) > 0


@pytest.mark.parametrize("name", of_their_own(UNLIKE))
def test_every_recipe_trains_a_step_per_stage(name, manifest, tmp_path):
    """With a tiny backbone; the backbones themselves are tested in tests/models. Stages share their augmentation."""
    stages = load_any_recipe(name).stages  # type: ignore[union-attr]
    overrides = [TINY, "clips.seconds=1.2", "inference.segment_s=1.0"]
    overrides += [f"stages.{number}.sound={{}}" for number in range(len(stages))]
    overrides += [f"stages.{number}.image={{}}" for number in range(1, len(stages))]
    if "2024" in name:
        overrides.append("stages.0.frozen=[]")  # the tiny backbone has no weights that were learned before
    if "cnn" in name:
        overrides += ["inference.window_s=1.0", "network.parts=1"]
    recipe = one_step(name, *overrides)
    check_run(recipe, train(recipe, manifest, tmp_path, quick=True))


@pytest.mark.parametrize("name", [name for name in BY_SPECIES if "base" not in KEYS[name]])
def test_every_recipe_of_few_shot_learning_trains_a_step(name, tmp_path):
    """With a tiny backbone, on species of which two recordings are there, and no others to be judged by."""
    overrides = [TINY, "clips.seconds=1.2", "inference.segment_s=1.0", "data.split_by=group"]
    for number, stage in enumerate(load_any_recipe(name).stages):  # type: ignore[union-attr]
        keys = ("epochs=1", "data={}", "sound={}", "seconds=null", *FEW[stage.name])
        overrides += [f"stages.{number}.{key}" for key in keys]
    recipe = load_any_recipe(name, overrides)
    assert isinstance(recipe, ClipRecipe)
    check_run(recipe, train(recipe, beeps(tmp_path, ("train", "train"), seconds=1.2), tmp_path, quick=True))


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(REAL), reason=f"minutes of a core; {REAL}=1 runs it")
@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in BY_SPECIES])
def test_every_recipe_trains_with_its_own_backbone(name, manifest, tmp_path):
    free = ["stages.0.frozen=[]"] if "2024" in name else []
    recipe, began = one_step(name, *free), time.perf_counter()
    path = train(recipe, manifest, tmp_path, quick=True)
    check_run(recipe, path)
    parameters = pd.read_json(path / "metrics.json", typ="series")["cost"]["parameters"]
    print(
        f"\n{name}: {recipe.network.backbone.name}, {recipe.network.head.name}, image {recipe.image_shape}, "
        f"{len(recipe.stages)} stages, {parameters:,} parameters, {time.perf_counter() - began:.0f} s"
    )


def test_the_ensemble_is_of_recipes_that_are_there():
    ensemble = load_any_recipe("birds/2023_ensemble")
    assert isinstance(ensemble, EnsembleRecipe)
    assert {member.recipe for member in ensemble.members} <= set(recipe_names("clips"))
    assert sum(member.weight for member in ensemble.members) == pytest.approx(1)


def test_an_ensemble_is_not_trained(capsys):
    from ecotf.commands.run_training import main

    with pytest.raises(ConfigError, match=r"is an ensemble: train its members one by one \(birds/2023_sed_v2s"):
        main(["--recipe", "birds/2023_ensemble", "--data", "nowhere.csv"])
