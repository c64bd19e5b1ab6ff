"""What every head must do; a new one is tested by being registered."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from ecotf.config import Config, validate
from ecotf.errors import ConfigError
from ecotf.models.heads import HEADS, HeadConfig, ImageHead, build_image_head
from ecotf.registry import Entry

NARROW = {
    "attention": {"hidden": 4},
    "chrononet": {"units": 3},
    "chrononet_inception": {"filters": 2, "units": 3, "hidden": 4},
    "events": {"onsets": True},
    "mlp": {"units": 4},
    "panns": {"hidden": 4},
    "relation": {"channels": 4, "norm_momentum": 0.5},
    "network": {"units": 8, "epochs": 8, "batch": 60, "learning_rate": 0.3},
    "sed": {"hidden": 4},
    "trees": {"n_estimators": 3, "max_depth": 2},
}
CLASSES, MAP = 3, (8, 2, 5)


def config_of(entry: Entry) -> HeadConfig:
    return validate(entry.config_class, {"name": entry.name, **NARROW.get(entry.name, {})}, "test")


def entries(takes: str) -> pytest.MarkDecorator:
    chosen = [entry for entry in HEADS if entry.config_class.takes == takes]
    assert chosen
    return pytest.mark.parametrize("entry", chosen, ids=lambda entry: entry.name)


def step(model: keras.Model, x: np.ndarray, loss) -> None:
    with tf.GradientTape() as tape:
        value = loss(model(x, training=True))
    gradients = tape.gradient(value, model.trainable_variables)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    keras.optimizers.SGD(0.01).apply_gradients(zip(gradients, model.trainable_variables, strict=True))


@pytest.mark.parametrize("entry", list(HEADS), ids=lambda entry: entry.name)
def test_a_config_comes_back(entry):
    config = config_of(entry)
    key = TypeAdapter(ImageHead if config.takes == "features" else entry.config_class)
    assert key.validate_python(config.model_dump(mode="json")) == config
    assert key.validate_json(config.model_dump_json()) == config


@entries("features")
def test_a_head_of_feature_maps(entry, tmp_path):
    config = config_of(entry)

    def built(seed: int, n_classes: int = CLASSES, probabilities: bool = False) -> keras.Model:
        keras.utils.set_random_seed(seed)
        return build_image_head(config, MAP, n_classes, probabilities)

    head, again = built(1), built(2)
    x = np.random.default_rng(0).uniform(0, 1, (4, *MAP)).astype(np.float32)
    before = head(x, training=False)
    assert set(before) == ({"clip", "frames"} if config.gives_frames else {"clip"})
    assert before["clip"].shape == (4, CLASSES)
    if config.gives_frames:
        assert before["frames"].shape == (4, MAP[0], CLASSES * (4 if config.gives_onsets else 1))
    assert any(isinstance(layer, keras.layers.RNN) for layer in head.layers) == config.recurrent

    step(head, x, lambda answer: sum(tf.reduce_mean(values**2) for values in answer.values()))
    after = head(x, training=False)
    assert not np.array_equal(after["clip"], before["clip"])
    head.save_weights(tmp_path / "h.weights.h5")
    again.load_weights(tmp_path / "h.weights.h5")
    for key, values in after.items():
        np.testing.assert_array_equal(again(x, training=False)[key], values)

    # For a device: the same weights give probabilities.
    device = built(3, probabilities=True)
    device.set_weights(head.get_weights())
    for key, values in after.items():
        np.testing.assert_allclose(device(x, training=False)[key], tf.sigmoid(values), atol=1e-6)

    # The class layers, and no others, change with the number of classes.
    changed = {
        there.path.split("/")[-2]
        for there, here in zip(head.weights, built(1, CLASSES + 2).weights, strict=True)
        if there.shape != here.shape
    }
    assert changed == set(config.class_layers)
    assert all(head.get_layer(name).kernel.shape[-1] == CLASSES for name in config.class_layers)


@entries("features")
def test_clips_of_any_length_or_a_refusal(entry):
    config = config_of(entry)
    if config.fixed_length:
        with pytest.raises(ConfigError, match=f"head {entry.name}: works on clips of one length") as error:
            build_image_head(config, (None, *MAP[1:]), CLASSES)
        assert "\n" not in str(error.value)
        return
    head = build_image_head(config, (None, *MAP[1:]), CLASSES)
    for t in (9, 20):
        assert head(np.ones((1, t, *MAP[1:]), np.float32))["clip"].shape == (1, CLASSES)


@entries("features")
def test_no_class_is_refused(entry):
    with pytest.raises(ConfigError, match=f"head {entry.name}: 0 classes; allowed: at least one"):
        build_image_head(config_of(entry), MAP, 0)


@entries("embedding")
def test_a_head_of_embeddings(entry, tmp_path):
    config = config_of(entry)

    def built(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((6,))
        return keras.Model(inputs, HEADS.build(config, CLASSES)(inputs))

    head, again = built(1), built(2)
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    before = head(x).numpy()
    assert before.ndim == 2
    assert before.min() >= 0 and before.max() <= 1
    step(head, x, lambda answer: tf.reduce_mean(answer**2))
    after = head(x).numpy()
    assert not np.array_equal(after, before)
    head.save_weights(tmp_path / "h.weights.h5")
    again.load_weights(tmp_path / "h.weights.h5")
    np.testing.assert_array_equal(again(x), after)


TABLES = [entry for entry in HEADS if entry.config_class.takes == "table"]
WAYS = [
    (entry, {"strategy": strategy} if several else {})
    for entry in TABLES
    for several in ["strategy" in entry.config_class.model_fields]
    for strategy in (["one_vs_rest", "chain", "powerset"] if several else [""])
]


@pytest.mark.parametrize(("entry", "more"), WAYS, ids=lambda value: getattr(value, "name", str(value)))
def test_a_head_of_tables(entry, more, tmp_path):
    """The same seed gives the same head; a class that never and one that always occurs have that answer."""
    config = config_of(entry).model_copy(update=more)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 4)).astype(np.float32)
    targets = np.hstack([rows[:, :2] > 0, np.zeros((60, 1)), np.ones((60, 1))]).astype(np.float32)
    fitted, again = (HEADS.build(config, rows, targets, seed=1, threads=1) for _ in range(2))
    unseen = rng.normal(size=(40, 4)).astype(np.float32)
    scores = fitted.predict(unseen)
    np.testing.assert_array_equal(again.predict(unseen), scores)
    assert scores.shape == (40, 4)
    assert ((scores[:, :2] > 0.5) == (unseen[:, :2] > 0)).mean() > 0.8
    assert (scores[:, 2] < 0.2).all() and (scores[:, 3] > 0.8).all() and fitted.n_parameters > 0
    fitted.save(tmp_path)
    np.testing.assert_array_equal(config.load(tmp_path).predict(unseen), scores)


class _Recipe(Config):
    head: ImageHead


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small", "head: 'small' is a backbone, not a head; allowed: 'attention'"),
        ("dense", "head: 'dense' is a head with takes = embedding; here takes = features is needed; allowed:"),
        ("median", "head: name 'median' is unknown; allowed: 'attention'"),
    ],
)
def test_a_recipe_that_names_something_else(name, message):
    import ecotf.models.backbones  # noqa: F401 - so that its names are known

    with pytest.raises(ConfigError, match=message) as error:
        validate(_Recipe, {"head": {"name": name}}, "recipe.yaml")
    assert "\n" not in str(error.value)
