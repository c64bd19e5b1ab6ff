"""One test for every backbone and head that recipes put together, and what a clip network does beside answering."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from ecotf.config import validate
from ecotf.errors import ConfigError
from ecotf.models.heads import build_image_head
from ecotf.models.image_network import ClipNetwork, ClipNetworkConfig, build_clip_network
from ecotf.tasks.recipe_files import recipe_names
from ecotf.tasks.recipes import load_any_recipe
from ecotf.training.losses import LossConfig, clip_loss

FRAMES, BANDS, CLASSES = 96, 32, 3
REAL = "ECOTF_REAL_BACKBONES"
# Numbers that learn with 834 classes, the pre-training of 2023.
PARAMETERS = {
    "birds/2023_cnn_b0ns": 5_075_327,
    "birds/2023_cnn_b3ns": 11_978_091,
    "birds/2023_cnn_resnet34d": 21_731_747,
    "birds/2023_cnn_v2s": 21_245_843,
    "birds/2023_sed_b3ns": 15_621_036,
    "birds/2023_sed_seresnext26t": 22_371_884,
    "birds/2023_sed_v2s": 23_954_132,  # published: 24.0 M
    "birds/2024_attention": 23_953_876,
    "tagging/mn10": 5_270_098,  # published with 527 classes: 4.88 M
    "birds/2024_chrononet": 21_271_378,
}
SED = {"name": "sed", "hidden": 8}
CHRONONET = {"name": "chrononet", "units": 6}
INCEPTION = {"name": "chrononet_inception", "filters": 4, "units": 5, "hidden": 6}
SMALL = {"name": "small", "stem": 4, "filters": (4, 6, 8), "blocks": (1, 2, 1), "features": 10}
# backbone, head, parts, band_norm, channels. tests/contracts trains every backbone and every head by itself, and
# test_every_recipe_with_its_own_backbone below is for the networks of all recipes.
COMBINATIONS = [
    (SMALL, SED, 1, True, 1),
    ({**SMALL, "squeeze": 4, "activation": "hard_swish"}, {"name": "gem"}, 2, False, 3),
    (SMALL, {"name": "attention"}, 1, False, 1),
    (SMALL, {**CHRONONET, "normalise": "features", "sequence": "bands_together"}, 1, False, 3),
]


def config_of(backbone: dict, head: dict, parts: int = 1, band_norm: bool = False) -> ClipNetworkConfig:
    values = {"backbone": backbone, "head": head, "parts": parts, "band_norm": band_norm}
    return validate(ClipNetworkConfig, values, "test")


def frames_of(config: ClipNetworkConfig) -> int:
    """Enough for the least image that a part may be."""
    return max(FRAMES, 32 * config.parts)


def built(config: ClipNetworkConfig, channels: int, seed: int = 1, classes: int = CLASSES, **options) -> ClipNetwork:
    keras.utils.set_random_seed(seed)
    return build_clip_network(config, classes, (frames_of(config), BANDS, channels), **options)


def images_of(channels: int, n: int = 3, frames: int = FRAMES) -> np.ndarray:
    """Blots, some clips louder than others."""
    rng = np.random.default_rng(0)
    blots = np.kron(rng.uniform(0, 1, (n, -(-frames // 8), BANDS // 8, channels)), np.ones((1, 8, 8, 1)))
    noise = rng.uniform(0, 0.1, (n, frames, BANDS, channels))
    return ((blots[:, :frames] + noise) * rng.uniform(0.3, 1.5, (n, 1, 1, 1))).astype(np.float32)


def wake(network: ClipNetwork) -> None:
    """Turn on the residual branches that begin with a factor of 0."""
    for layer in network.backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and not np.any(layer.gamma):
            layer.gamma.assign(tf.ones_like(layer.gamma))


def settle(network: ClipNetwork, images: np.ndarray) -> dict:
    """Give the running averages the values that they would reach in training; what training sees, without dropout."""
    kept = {}
    for layer in [*network.model.layers, *network.backbone.layers, *network.head.layers]:
        for name in ("momentum", "rate"):
            if hasattr(layer, name):
                kept[layer] = (name, getattr(layer, name))
                setattr(layer, name, 0.0)
    answer = network.model(images, training=True)
    for layer, (name, value) in kept.items():
        setattr(layer, name, value)
    return answer


@pytest.mark.parametrize(("backbone", "head", "parts", "band_norm", "channels"), COMBINATIONS)
def test_every_clip_network(tmp_path, backbone, head, parts, band_norm, channels):
    check_network(config_of(backbone, head, parts, band_norm), channels, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(REAL), reason=f"minutes of a core; {REAL}=1 runs it")
@pytest.mark.parametrize("name", [name for name in recipe_names("clips") if name != "tagging/transfer"])
def test_every_recipe_with_its_own_backbone(tmp_path, name):
    """The same of the networks that recipes train, and how many numbers they learn with 834 classes."""
    recipe = load_any_recipe(name)
    check_network(recipe.network, recipe.level.channels, tmp_path)
    network = build_clip_network(recipe.network, 834, recipe.image_shape)
    print(f"\n{name}: {network.n_parameters:,} parameters with 834 classes, image {recipe.image_shape}")
    assert network.n_parameters == PARAMETERS[name] if name in PARAMETERS else network.n_parameters < 5_000_000


def check_network(config: ClipNetworkConfig, channels: int, folder: Path) -> None:
    """Shapes, mixed precision, what learns, and that what is saved comes back."""
    network = built(config, channels)
    length = frames_of(config)
    images = images_of(channels, frames=length)
    wake(network)
    has_frames = config.head.name in ("sed", "attention")

    # mixed precision gives about the same, in float32
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = built(config, channels, seed=2)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.model.set_weights(network.model.get_weights())
    expected = network.model(images)
    for key, values in mixed.model(images).items():
        assert values.dtype == tf.float32
        np.testing.assert_allclose(values, expected[key], atol=0.1 * np.abs(expected[key]).max())

    # shapes, also of clips of another length
    assert set(network.model.output) == ({"clip", "frames"} if has_frames else {"clip"})
    for frames in (length,) if config.head.fixed_length else (length, length + 37):
        answer = expected if frames == length else network.model(images_of(channels, 1, frames))
        assert answer["clip"].shape == (len(answer["clip"]), CLASSES)
        if has_frames:
            assert answer["frames"].shape[0::2] == (len(answer["clip"]), CLASSES)
            assert answer["frames"].shape[1] >= frames // 32

    # training moves the running averages; every number is learned
    before = network.model.get_weights()
    assert np.isfinite(settle(network, images)["clip"]).all()
    assert any(not np.array_equal(a, b) for a, b in zip(before, network.model.get_weights(), strict=True))
    variables = network.model.trainable_weights
    assert network.n_parameters == sum(int(np.prod(variable.shape)) for variable in variables)
    with tf.GradientTape() as tape:
        loss = LossConfig(name="binary", frames_share=0.5 if has_frames else 0)
        answer = network.model(images, training=False)
        value = clip_loss(loss, answer, np.eye(CLASSES)[[0, 1, 2]])
    for variable, gradient in zip(variables, tape.gradient(value, variables), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path
        assert np.any(gradient), variable.path

    assert np.ptp(answer["clip"], axis=0).max() > 1e-4  # clips are told apart

    # what is saved comes back in another build, running averages too
    network.save(folder / "clips.weights.h5")
    mixed.load(folder / "clips.weights.h5")
    for there, here in zip(network.model.get_weights(), mixed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)


# --- published sizes -------------------------------------------------------------------------------------------------


def test_published_numbers_of_parameters():
    config = config_of({"name": "efficientnet_v2_s"}, {"name": "sed"}, band_norm=True)
    network = build_clip_network(config, 834, (768, 128, 3))
    assert network.n_parameters == 23_954_132  # 24.0 M
    backbone = sum(int(np.prod(weight.shape)) for weight in network.backbone.trainable_weights)
    assert backbone == 20_177_488
    # 2024, 5 s by 40 bands: 22.3 M with 2.1 M that learn on the frozen backbone, and 1.0 M
    for head, expected in (("attention", 2_105_964), ("chrononet", 1_009_782)):
        config = config_of({"name": "efficientnet_v2_s"}, {"name": head})
        built_head = build_image_head(config.head, (16, 2, 1280), 182)
        assert sum(int(np.prod(weight.shape)) for weight in built_head.trainable_weights) == expected
    assert backbone + 2_105_964 == 22_283_452


def test_the_small_network_is_small():
    config = config_of({"name": "small"}, {"name": "sed"}, band_norm=True)
    assert build_clip_network(config, 264, (313, 128, 1)).n_parameters < 1_000_000


# --- parts -----------------------------------------------------------------------------------------------------------


def test_parts_go_through_the_backbone_one_by_one():
    config = config_of(SMALL, {"name": "gem"}, parts=2)
    network = built(config, 1)
    images = images_of(1, 2, 131)  # 65 frames a part, one is left over
    maps = [network.backbone(images[:, start : start + 65]) for start in (0, 65)]
    expected = network.head(np.concatenate(maps, axis=1))["clip"]
    np.testing.assert_allclose(network.model(images)["clip"], expected, atol=1e-6)
    changed = images.copy()
    changed[:, 130:] += 1
    np.testing.assert_array_equal(network.model(changed)["clip"], network.model(images)["clip"])


# --- for a device ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [SED, {"name": "gem"}, CHRONONET, {**INCEPTION, "unroll": True}])
def test_the_device_gets_the_same_as_probabilities(head):
    network = built(config_of(SMALL, head), 1)
    exported = built(config_of(SMALL, head), 1, seed=2, fixed_length=True, probabilities=True)
    exported.model.set_weights(network.model.get_weights())
    assert exported.model.input_shape == (None, FRAMES, BANDS, 1)
    for key, logits in network.model(images_of(1)).items():
        np.testing.assert_allclose(exported.model(images_of(1))[key], tf.sigmoid(logits), atol=1e-6)


def test_a_network_becomes_tflite():
    """Others, and every head: tests/contracts/test_export.py."""
    head = {**CHRONONET, "unroll": True, "sequence": "bands_together"}
    network = built(config_of(SMALL, head, band_norm=True), 1, fixed_length=True, probabilities=True)
    images = images_of(1)
    settle(network, images)
    function = tf.function(network.model, input_signature=[tf.TensorSpec([1, FRAMES, BANDS, 1])])
    concrete = function.get_concrete_function()
    interpreter = tf.lite.Interpreter(
        model_content=tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images[:1])
    interpreter.invoke()
    made = [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]
    (clip,) = (values for values in made if values.ndim == 2)
    np.testing.assert_allclose(clip, network.model(images[:1])["clip"], atol=1e-4)


# --- freezing --------------------------------------------------------------------------------------------------------


def test_frozen_parts_neither_learn_nor_drop_nor_average():
    network = built(config_of({**SMALL, "drop_path": 0.9}, SED, band_norm=True), 1)
    assert list(network.freezable) == ["backbone", "band_norm", "hidden"]
    every = len(network.model.trainable_weights)
    network.freeze(["backbone", "band_norm"])
    assert {w.path.split("/")[-2] for w in network.model.trainable_weights} == {"hidden", "class_attention", "classes"}
    before = network.backbone.get_weights()
    maps = [network.backbone(images_of(1), training=training) for training in (True, False)]
    np.testing.assert_array_equal(*maps)
    network.model(images_of(1), training=True)
    for a, b in zip(before, network.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    network.freeze([])
    assert len(network.model.trainable_weights) == every
    awake = [network.backbone(images_of(1), training=True) for _ in range(2)]
    assert np.abs(awake[0] - awake[1]).max() > 1e-3  # blocks are dropped again
    with pytest.raises(ConfigError, match=r"cannot freeze 'encoder'.*backbone, band_norm, hidden"):
        network.freeze(["encoder"])
    assert list(built(config_of(SMALL, {"name": "gem"}), 1).freezable) == ["backbone", "pool"]


# --- other classes ---------------------------------------------------------------------------------------------------

OLD, NEW = ("Parus major", "Turdus merula", "Pica pica"), ("Pica pica", "Strix aluco", "Parus major", "Apus apus")


@pytest.mark.parametrize("head", [SED, {"name": "gem"}, INCEPTION])
def test_shared_classes_keep_their_rows(head):
    """Logits of shared classes are the same after the change, whatever place they have now."""
    config = config_of(SMALL, head)
    old, new = built(config, 1, classes=3), built(config, 1, seed=2, classes=4)
    settle(old, images_of(1))
    fresh = new.head.get_layer("classes").get_weights()
    assert new.carry_rows(old.model.get_weights(), OLD, NEW) == ("Pica pica", "Parus major")
    expected, answer = old.model(images_of(1)), new.model(images_of(1))
    for key in answer:
        np.testing.assert_allclose(answer[key].numpy()[..., [0, 2]], expected[key].numpy()[..., [2, 0]], atol=1e-5)
    for there, here in zip(fresh, new.head.get_layer("classes").get_weights(), strict=True):
        np.testing.assert_array_equal(here[..., [1, 3]], there[..., [1, 3]])


def test_names_count_not_numbers():
    """As many classes as before, but others: only the shared one keeps its row."""
    config = config_of(SMALL, {"name": "gem"})
    old, new = built(config, 1), built(config, 1, seed=2)
    own = new.head.get_layer("classes").get_weights()[0]
    assert new.carry_rows(old.model.get_weights(), OLD, ("Apus apus", "Pica pica", "Strix aluco")) == ("Pica pica",)
    rows = new.head.get_layer("classes").get_weights()[0]
    np.testing.assert_array_equal(rows[:, 1], old.head.get_layer("classes").get_weights()[0][:, 2])
    np.testing.assert_array_equal(rows[:, [0, 2]], own[:, [0, 2]])
    assert new.carry_rows(old.model.get_weights(), OLD, ("a", "b", "c")) == ()


def test_weights_of_another_network_are_refused():
    config = config_of(SMALL, {"name": "gem"})
    network = built(config, 1)
    weights = network.model.get_weights()
    with pytest.raises(ConfigError, match="name one class twice"):
        network.carry_rows(weights, OLD, ("a", "a", "b"))
    with pytest.raises(ConfigError, match="2 new classes for a network of 3"):
        network.carry_rows(weights, OLD, ("a", "b"))
    with pytest.raises(ConfigError, match="have shape"):
        network.carry_rows(weights, (*OLD, "d"), OLD)
    with pytest.raises(ConfigError, match="it is another one"):
        network.carry_rows(weights[:-1], OLD, OLD)
    with pytest.raises(ConfigError, match="have shape"):
        network.carry_rows([np.zeros(7), *weights[1:]], OLD, OLD)


# --- mistakes --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_built_is_said_in_one_line(tmp_path):
    one = config_of(SMALL, {"name": "gem"}, parts=4)
    for config, shape, n, match in (
        (one, (96, 32, 1), 3, "24 frames by 32 bands is too small"),
        (config_of(SMALL, CHRONONET), (None, 32, 1), 3, "clips of one length"),
    ):
        with pytest.raises(ConfigError, match=match) as error:
            build_clip_network(config, n, shape)
        assert "\n" not in str(error.value)
    for values, match in (
        ({"backbone": {"name": "resnet"}, "head": SED}, "allowed: .*'resnet34d'.*'small'"),
        ({"backbone": {"name": "small", "blocks": (1, 2)}, "head": SED}, "one number"),
    ):
        with pytest.raises(ConfigError, match=match):
            validate(ClipNetworkConfig, values, "recipe.yaml")


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_missing_and_damaged_weights_are_explained(tmp_path):
    network = built(config_of(SMALL, {"name": "gem"}), 1)
    path = tmp_path / "clips.weights.h5"
    with pytest.raises(ConfigError, match="missing"):
        network.load(path)
    network.save(path)
    with pytest.raises(ConfigError, match="not of this network") as error:
        built(config_of({**SMALL, "stem": 5}, {"name": "gem"}), 1).load(path)
    assert "\n" not in str(error.value)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ConfigError, match="damaged"):
        network.load(path)
