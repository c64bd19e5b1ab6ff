"""Recipes: every one that comes with ecotf can be built, and every mistake in one is a line that helps."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import yaml

from ecotf.detection.scoring import EXACT
from ecotf.errors import ConfigError
from ecotf.features.spectrogram import BandSpectrogramConfig
from ecotf.models.detector import Detector
from ecotf.models.patch_network import NetworkConfig
from ecotf.models.saved import build_detector, patch_shape
from ecotf.pipelines.patches import PatchesConfig
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.recipe_files import recipe_names
from ecotf.tasks.recipes import load_any_recipe, load_recipe, parse_recipe, recipe_text

FIELD, CNN2 = "bats/field", "bats/cnn2"


def message_of(name: str | Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_recipe(name, overrides)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_the_six_published_models_and_our_own_are_there():
    published = {"hybrid_cnn_xgboost", "hybrid_resnet_xgboost", "cnn8", "cnn2", "resnet8", "resnet2"}
    assert set(recipe_names()) >= {f"bats/{name}" for name in (*published, "field")}


@cache
def built(front_end: BandSpectrogramConfig, patches: PatchesConfig, networks: tuple[NetworkConfig, ...]) -> Detector:
    """Recipes that differ in their trees alone share a network; a ResNet takes seconds to build."""
    return build_detector(front_end, patches, networks, ("a", "b", "c"))


@pytest.mark.parametrize("name", recipe_names("calls"))
def test_every_recipe_can_be_built(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    detector = built(recipe.front_end, recipe.patches, recipe.networks)
    assert {network.model.input_shape[1:3] for network in detector.networks} == {
        patch_shape(recipe.front_end, recipe.patches)
    }
    outputs = [network.model.output_shape[1] for network in detector.networks]
    assert outputs == ([4] if len(recipe.networks) == 1 else [2, 3])


def test_the_resnet_is_resnet_50():
    """keras.applications' ResNet50 without its top has 23,587,712 parameters; one channel spares 2 x 7 x 7 x 64."""
    recipe = load_recipe("bats/resnet8")
    (network,) = built(recipe.front_end, recipe.patches, recipe.networks).networks
    assert network.n_parameters == 23_587_712 - 2 * 7 * 7 * 64 + (2048 + 1) * 4
    assert network.backbone.output_shape == (None, 2048)
    assert len(network.model.losses) == 53  # weight decay on every convolution


@pytest.mark.parametrize("name", recipe_names("calls"))
def test_what_is_written_into_a_run_is_the_same_recipe(tmp_path, name):
    recipe = load_recipe(name, ["seed=7"])
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_text(recipe))
    assert load_recipe(path) == recipe
    assert list(yaml.safe_load(path.read_text())) == list(CallRecipe.model_fields)


@pytest.mark.parametrize("name", [name for name in recipe_names("calls") if name != FIELD])
def test_the_published_way_stays_a_setting(name):
    """Training patches on calls and at random, scores on every slice; as the comments in the recipes say."""
    way = ["patches.at=calls", "detection.scoring.at=grid", "front_end.denoise=published"]
    recipe = load_recipe(name, [*way, *(["trees.measures=false"] if "hybrid" in name else [])])
    assert recipe.detection.scoring == EXACT
    assert recipe.patches.at == "calls"


def test_overrides_change_a_recipe():
    recipe = load_recipe(FIELD, ["seed=3", "stages.0.learning_rate=1e-4", "patches.shift_s=[]", "mining.keep=last"])
    assert recipe.seed == 3
    assert recipe.stages[0].learning_rate == 1e-4
    assert recipe.patches.shift_s == ()
    assert recipe.mining.keep == "last"


def test_a_recipe_of_ones_own(tmp_path):
    values = yaml.safe_load(recipe_text(load_recipe(FIELD)))
    del values["name"]
    path = tmp_path / "forest.yaml"
    path.write_text(yaml.safe_dump(values))
    assert load_recipe(path).name == "own/forest"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bats/feild", "unknown recipe 'bats/feild'; known: bats/cnn2, "),
        ("bats/feild", "did you mean bats/field?"),
        ("nothing/like/it", "or the path of a .yaml file"),
        ("none.yaml", "none.yaml: cannot be read (No such file or directory)"),
    ],
)
def test_a_recipe_that_is_not_there(name, expected):
    assert expected in message_of(name)


def test_a_file_that_is_no_recipe(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    assert "a recipe is a mapping of keys to values" in message_of(path)
    path.write_text("description: empty\n")
    assert "'front_end' is missing" in message_of(path)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("mining.round=1", "unknown key 'mining.round'; known keys here: "),
        ("mining.round=1", "did you mean 'rounds'?"),
        ("networks.0.backbone.filers=[8, 8, 8]", "unknown key 'networks.0.backbone.filers'"),
        ("networks.0.backbone.filers=[8, 8, 8]", "did you mean 'filters'?"),
        ("stages.0.epoch=3", "unknown key 'stages.0.epoch'"),
        ("networks.0.backbone.name=vgg", "name 'vgg' is unknown; allowed: 'cnn', 'field_cnn', 'resnet50'"),
        ("stages.0.name=fit", "name 'fit' is unknown; allowed: 'fit_network', 'fit_trees'"),
        ("seed=many", "seed = 'many': input should be a valid integer"),
        ("seed=-1", "seed = -1: input should be greater than or equal to 0"),
        ("mining.rounds=0.5", "mining.rounds = 0.5: "),
        ("mining.keep=worst", "mining.keep = 'worst': input should be 'best' or 'last'"),
        ("patches.width_s=.inf", "patches.width_s = inf: input should be a finite number"),
        ("patches.shift_s=0.001", "patches.shift_s = 0.001: "),
        ("front_end.window=hanning", "front_end.window = 'hanning': input should be 'hann', "),
        ("data.channel=0", "data.channel: 0 is not a channel; allowed: mix, or a channel's number, counted from 1"),
        ("data.channel=left", "data.channel: 'left' is not a channel"),
        ("data.train=0.9", "data: train, valid and test add up to 1.2; they must add up to 1"),
        ("networks=[]", "networks = []: "),
        ("networks.0.name=../calls", "networks.0.name = '../calls': "),
        # impossible together
        ("front_end.high_hz=5000", "front_end: low_hz = 8000 must be below high_hz = 5000"),
        ("front_end.high_hz=8100", "front_end: the band from 8000 to 8100 Hz holds 0 rows"),
        ("patches.width_s=0.001", "patches.width_s = 0.001 is shorter than one spectrum, front_end.window_s = 0.002"),
        ("patches.reduce_frequency=20", "a patch of 24 columns by 11 bands is too small for this field_cnn; allowed"),
        ("trees=null", "trees: a recipe with trees has one network and one stage fit_trees"),
        ("stages.0.network=other", "stages fit the networks ['other']; allowed: each of ['calls']"),
        ("networks.0.head.activation=softmax", "a softmax head does not go with a binary loss"),
        ("networks.0.head.answers=species", "networks answer species; allowed: "),
        ("patches.at=calls", "trees.measures = true: peaks are measured; set patches.at and detection.scoring.at to"),
    ],
)
def test_mistakes_in_the_field_recipe(override, expected):
    message = message_of(FIELD, override)
    assert message.startswith(f"{FIELD}: ")
    assert expected in message


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["networks.0.name=namer"], "two networks are called 'namer'"),
        (
            ["networks.0.backbone.convolutions=5"],
            "network 'detector': a patch of 20 columns by 130 bands is too small",
        ),
        (["networks.1.head.activation=softmax"], "network 'namer': a softmax head does not go with a binary loss"),
        (
            ["networks.1.head.activation=softmax", "stages.1.loss=categorical"],
            "network 'namer': softmax cannot name several species at once; use sigmoid",
        ),
        (["trees={n_estimators: 3}"], "trees: a recipe with trees has one network"),
    ],
)
def test_mistakes_in_a_cascade(overrides, expected):
    assert expected in message_of(CNN2, *overrides)


@pytest.mark.parametrize("name", [FIELD, "birds/small", "birds/2023_ensemble"])
def test_a_name_that_no_recipe_may_have(name):
    values = yaml.safe_load(recipe_text(load_any_recipe(name)))
    for wrong in ("a\nb", "", "/etc", "x" * 101):
        with pytest.raises(ConfigError, match="cannot be the name of a recipe; allowed: letters, digits") as caught:
            parse_recipe({**values, "name": wrong}, "own.yaml")
        assert str(caught.value).startswith("own.yaml: name: ") and "\n" not in str(caught.value)
    assert parse_recipe({**values, "name": "own/Fledermäuse 2 (north)"}, "own.yaml").name.endswith("(north)")


def test_a_recipe_on_the_base_of_another(tmp_path):
    base, own = load_any_recipe("tagging/mn10"), tmp_path / "own.yaml"
    narrow = load_any_recipe("tagging/mn04")
    assert narrow.name == "tagging/mn04" and narrow.description != base.description
    assert (narrow.network.backbone.width, narrow.network.head.units) == (0.4, 512)
    assert narrow.stages == base.stages
    own.write_text("base: tagging/mn04\nchanges: {seed: 7, stages.0.sampler.clips: 9}\n")
    recipe = load_any_recipe(own, ["seed=8"])
    assert recipe.name == "own/own" and recipe.network == narrow.network and recipe.seed == 8
    assert recipe.stages[0].sampler.clips == 9
    (tmp_path / "above.yaml").write_text("base: own.yaml\n")  # beside it
    assert load_any_recipe(tmp_path / "above.yaml").stages == recipe.stages
    assert load_any_recipe(tmp_path / "above.yaml").name == "own/above"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base: tagging/mn4", "unknown recipe 'tagging/mn4'; known: .*did you mean tagging/mn"),
        ("base: own.yaml", "base = 'own.yaml' is based on this recipe itself"),
        ("base: tagging/mn10\nseed: 7", "key 'seed' beside base; allowed: base, name, description, changes"),
        ("base: tagging/mn10\nchanges: [1]", "changes: a mapping of dotted keys to values, as network.backbone.width"),
        ("base: tagging/mn10\nchanges: {stages.4.epochs: 1}", "changes: .*stages.4.epochs: '4' is not an index from 0"),
        ("base: tagging/mn10\nchanges: {network.widht: 1}", "unknown key 'network.widht'"),
        ("base: none.yaml", "none.yaml: cannot be read"),
    ],
)
def test_mistakes_in_a_recipe_with_a_base(tmp_path, text, expected):
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(ConfigError, match=expected) as error:
        load_any_recipe(own)
    assert "\n" not in str(error.value)
