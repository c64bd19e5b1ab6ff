"""Losses of clips, each against a plain statement of it in numpy, and what they must survive."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from scipy.special import log_expit, log_softmax

from ecotf.errors import ConfigError
from ecotf.training.losses import LossConfig, averaged, clip_loss, per_clip

N, T, K = 5, 4, 6
NAMES = ("cross_entropy", "binary", "focal_softmax", "focal_sigmoid", "kl", "squared")


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="module")
def logits(rng) -> dict[str, np.ndarray]:
    return {"clip": rng.normal(0, 3, (N, K)), "frames": rng.normal(0, 3, (N, T, K))}


@pytest.fixture(scope="module")
def targets(rng) -> np.ndarray:
    """Soft labels: a primary class, and secondary ones of 0.9."""
    labels = np.where(rng.uniform(size=(N, K)) < 0.3, 0.9, 0.0)
    labels[np.arange(N), rng.integers(0, K, N)] = 1
    return labels


@pytest.fixture(scope="module")
def class_weights(rng) -> np.ndarray:
    return rng.uniform(0.3, 3, K)


def plain(config: LossConfig, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """The loss of each clip, class by class in float64."""
    w, ones = np.ones(K) if weights is None else weights, np.ones(K)
    e, gamma = config.label_smoothing, config.gamma
    losses = []
    for row, labels in zip(x, y, strict=True):
        if config.name == "squared":
            smooth = [(1 - e) * label + e / 2 for label in labels]
            losses.append(np.mean([w[k] * (np.exp(log_expit(row[k])) - smooth[k]) ** 2 for k in range(K)]))
            continue
        if config.name in ("cross_entropy", "focal_softmax", "kl"):
            smooth = [(1 - e) * label + e / K for label in labels]
            log_p = log_softmax(row)
            entropy = {id(v): -sum(v[k] * smooth[k] * log_p[k] for k in range(K)) for v in (w, ones)}
            loss = entropy[id(w)]
            p = np.exp(-entropy[id(w if config.weighted_focus else ones)])
            certain = sum(w[k] * smooth[k] * np.log(smooth[k]) for k in range(K) if smooth[k] > 0)
            losses.append({"focal_softmax": (1 - p) ** gamma * loss, "kl": loss + certain}.get(config.name, loss))
            continue
        total = 0.0
        for k in range(K):
            label = (1 - e) * labels[k] + e / 2
            entropy_k = -label * log_expit(row[k]) - (1 - label) * log_expit(-row[k])
            p = np.exp(-(w[k] if config.weighted_focus else 1) * entropy_k)
            total += w[k] * entropy_k * ((1 - p) ** gamma if config.name == "focal_sigmoid" else 1)
        losses.append(total)
    return np.array(losses)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1}, {"gamma": 1.5, "weighted_focus": False}])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_loss_is_what_it_says(logits, targets, class_weights, name, settings, weighted):
    config = LossConfig(name=name, **settings)
    weights = class_weights if weighted else None
    made = per_clip(config, logits["clip"].astype(np.float32), targets, weights).numpy()
    np.testing.assert_allclose(made, plain(config, logits["clip"], targets, weights), rtol=2e-5)
    assert made.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("average", ["weights", "clips", "sum"])
def test_half_of_the_clip_and_half_of_the_greatest_frame(logits, targets, class_weights, name, average):
    config = LossConfig(name=name, frames_share=0.5, average=average)
    weights = np.array([1, 0.8, 0.1, 0, 0.5])
    made = clip_loss(config, logits, targets, class_weights, weights).numpy()
    halves = [plain(config, x, targets, class_weights) for x in (logits["clip"], logits["frames"].max(axis=1))]
    total = sum(w * 0.5 * (a + b) for w, a, b in zip(weights, *halves, strict=True))
    expected = total / {"weights": weights.sum(), "clips": N, "sum": 1}[average]
    np.testing.assert_allclose(made, expected, rtol=2e-5)


def test_hard_labels_give_the_losses_of_keras(logits):
    import keras

    targets = np.eye(K, dtype=np.float32)[[0, 1, 5, 2, 2]]
    x = logits["clip"].astype(np.float32)
    made = clip_loss(LossConfig(name="cross_entropy", label_smoothing=0.1), {"clip": x}, targets)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(targets, x)
    np.testing.assert_allclose(made, expected, rtol=1e-5)
    made = clip_loss(LossConfig(name="binary"), {"clip": x}, targets)
    np.testing.assert_allclose(made, K * keras.losses.BinaryCrossentropy(from_logits=True)(targets, x), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_focus_a_focal_loss_is_the_loss_itself(logits, targets, class_weights, name):
    base = {"focal_softmax": "cross_entropy", "focal_sigmoid": "binary"}.get(name, name)
    made, expected = (
        per_clip(LossConfig(name=n, gamma=0), logits["clip"], targets, class_weights) for n in (name, base)
    )
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gamma", [1.0, 2.0, 2.5])
def test_extreme_logits_and_labels_keep_loss_and_slope_finite(name, gamma):
    logits = tf.Variable(np.array([[1e4, -1e4], [-1e4, 1e4], [0, 0], [80, -80]], np.float32))
    for targets in (np.eye(2)[[0, 0, 0, 0]], np.zeros((4, 2)), np.ones((4, 2))):
        with tf.GradientTape() as tape:
            loss = clip_loss(LossConfig(name=name, gamma=gamma), {"clip": logits}, targets)
        assert np.isfinite(loss)
        assert np.isfinite(tape.gradient(loss, logits)).all()
    right = per_clip(LossConfig(name=name, gamma=gamma), logits, np.eye(2)[[0, 1, 0, 0]]).numpy()
    np.testing.assert_allclose(right[[0, 1, 3]], 0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_logits_are_summed_in_float32(name, dtype):
    """300 classes of a loss near 0.7 each would lose their digits in half precision."""
    logits = tf.cast(tf.zeros([2, 300]), dtype)
    config = LossConfig(name=name, frames_share=0.5)
    made = clip_loss(config, {"clip": logits, "frames": logits[:, None]}, tf.ones([2, 300], dtype))
    expected = clip_loss(config, {"clip": np.zeros((2, 300)), "frames": np.zeros((2, 1, 300))}, np.ones((2, 300)))
    assert made.dtype == tf.float32
    np.testing.assert_allclose(made, expected, rtol=1e-6)


def test_clips_without_weight_do_not_count(logits, targets):
    config = LossConfig(name="binary")
    part = {key: value[:2] for key, value in logits.items()}
    made = clip_loss(config, logits, targets, None, [1, 1, 0, 0, 0])
    np.testing.assert_allclose(made, clip_loss(config, part, targets[:2]), rtol=1e-6)
    assert averaged(tf.ones(3), tf.zeros(3)) == 0


def test_a_loss_works_in_a_compiled_step(logits, targets, class_weights):
    config = LossConfig(name="focal_softmax", frames_share=0.5)
    compiled = tf.function(lambda x, y: clip_loss(config, x, y, class_weights))
    np.testing.assert_allclose(compiled(logits, targets), clip_loss(config, logits, targets, class_weights), rtol=1e-6)


def test_what_cannot_be_is_refused(logits, targets):
    with pytest.raises(ConfigError, match="gives no frames"):
        clip_loss(LossConfig(name="binary", frames_share=0.5), {"clip": logits["clip"]}, targets)
    for values in ({"name": "mse"}, {"gamma": 0.5}, {"label_smoothing": 1}, {"frames_share": 2}, {"average": "mean"}):
        with pytest.raises(ValidationError):
            LossConfig.model_validate({"name": "binary", **values})
