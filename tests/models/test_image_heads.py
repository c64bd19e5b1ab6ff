"""Heads of clips, each against a plain statement of it in numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter
from scipy.special import expit, softmax

from ecotf.models.heads import ImageHead, build_image_head
from ecotf.models.heads.pooling import AttentionPooling, FrameSmoothing, GeneralisedMean

CONFIG: TypeAdapter = TypeAdapter(ImageHead)
T, F, C, CLASSES = 6, 2, 5, 3


def built(t: int | None = T, **values):
    keras.utils.set_random_seed(3)
    return build_image_head(CONFIG.validate_python(values), (t, F, C), CLASSES)


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, T, F, C)).astype(np.float32)


def weights_of(head, name: str) -> list[np.ndarray]:
    return head.get_layer(name).get_weights()


# --- sed and attention -----------------------------------------------------------------------------------------------


def smoothed(x: np.ndarray) -> np.ndarray:
    """max_pool1d + avg_pool1d of PyTorch, kernel 3, padding 1: beyond the ends the mean sees zeros."""
    n = len(x)
    return np.stack(
        [max(x[max(t - 1, 0) : t + 2], key=lambda v: v) + sum(x[max(t - 1, 0) : min(t + 2, n)]) / 3 for t in range(n)]
    )


@pytest.mark.parametrize("name", ["sed", "attention"])
def test_the_attention_block(maps, name):
    head = built(name=name, hidden=4)
    answer = head(maps)
    (wh, bh), (wa, ba), (wc, bc) = (weights_of(head, layer) for layer in ("hidden", "class_attention", "classes"))
    for i, feature_map in enumerate(maps.astype(float)):
        x = feature_map.mean(axis=1)
        x = np.stack([smoothed(x[:, c]) for c in range(C)], axis=1)
        x = np.maximum(x @ wh + bh, 0)
        frames = x @ wc + bc
        share = softmax(np.tanh(x @ wa + ba), axis=0)
        np.testing.assert_allclose(answer["frames"][i], frames, atol=1e-5)
        np.testing.assert_allclose(expit(answer["clip"][i]), (share * expit(frames)).sum(axis=0), atol=1e-6)


def test_dropout_of_both_is_as_published():
    for name, rate in (("sed", 0.5), ("attention", 0.3)):
        layers = [layer for layer in built(name=name).layers if isinstance(layer, keras.layers.Dropout)]
        assert [layer.rate for layer in layers] == [rate, rate]
    assert weights_of(built(name="sed"), "hidden")[0].shape == (C, C)


def test_one_frame_is_its_own_neighbour():
    x = np.array([[[2.0, -1.0]]], np.float32)
    np.testing.assert_allclose(FrameSmoothing()(x), [[[2 + 2 / 3, -1 - 1 / 3]]], atol=1e-6)


@pytest.mark.parametrize("level", [-200.0, -30.0, 0.0, 30.0, 200.0])
def test_certain_clips_have_a_logit_and_a_slope(level):
    """Where the probability is 0 or 1 in float32, its logit is still right: all frames agree on it."""
    frames = tf.Variable(np.full((1, 4, 2), level, np.float32))
    attention = np.random.default_rng(1).normal(0, 50, (1, 4, 2)).astype(np.float32)
    with tf.GradientTape() as tape:
        logit = AttentionPooling()([attention, frames])
    np.testing.assert_allclose(logit, np.full((1, 2), level), rtol=1e-5, atol=1e-5)
    slope = tape.gradient(logit, frames).numpy()
    np.testing.assert_allclose(slope.sum(axis=1), 1, atol=1e-4)


# --- gem -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, 3.0, 15.0])
def test_the_generalised_mean(maps, power):
    layer = GeneralisedMean(power)
    expected = (np.maximum(maps.astype(float), 1e-6) ** power).mean(axis=(1, 2)) ** (1 / power)
    np.testing.assert_allclose(layer(maps), expected, rtol=1e-4)
    assert [weight.shape for weight in layer.trainable_weights] == [(1,)]
    assert GeneralisedMean.from_config(layer.get_config()).power == power


def test_gem_is_a_pool_and_one_layer(maps):
    head = built(name="gem", power=2)
    kernel, bias = weights_of(head, "classes")
    pooled = np.sqrt((np.maximum(maps.astype(float), 1e-6) ** 2).mean(axis=(1, 2)))
    np.testing.assert_allclose(head(maps)["clip"], pooled @ kernel + bias, atol=1e-5)


def test_several_samples_of_dropout_are_averaged(maps):
    """Their average scatters less, by the root of their number."""

    def scatter(samples: int) -> float:
        head = built(name="gem", samples=samples)
        many = np.repeat(maps[:1], 4000, axis=0)
        return float(head(many, training=True)["clip"].numpy().std(axis=0).mean())

    np.testing.assert_allclose(scatter(1) / scatter(4), 2, rtol=0.1)


# --- chrononet -------------------------------------------------------------------------------------------------------


def gru(x: np.ndarray, layer) -> np.ndarray:
    """Cho et al. 2014 with the reset gate after the product, as in PyTorch and cuDNN: [steps, units]."""
    kernel, recurrent, (bias, recurrent_bias) = layer.get_weights()
    units = layer.units
    h, answers = np.zeros(units), []
    for step in x:
        a, b = step @ kernel + bias, h @ recurrent + recurrent_bias
        z, r = expit(a[:units] + b[:units]), expit(a[units : 2 * units] + b[units : 2 * units])
        h = z * h + (1 - z) * np.tanh(a[2 * units :] + r * b[2 * units :])
        answers.append(h)
    return np.stack(answers)


def layers_of(head, kind) -> list:
    return [layer for layer in head.layers if isinstance(layer, kind)]


@pytest.mark.parametrize("sequence", ["bands_in_turn", "bands_together"])
@pytest.mark.parametrize("normalise", ["steps", "features"])
def test_every_gru_sees_the_ones_before(maps, sequence, normalise):
    head = built(name="chrononet", units=3, sequence=sequence, normalise=normalise)
    norms = layers_of(head, keras.layers.BatchNormalization)
    rng = np.random.default_rng(5)
    for norm in norms:
        norm.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in norm.get_weights()])
    x = maps[0].transpose(1, 0, 2).reshape(F * T, C) if sequence == "bands_in_turn" else maps[0].reshape(T, F * C)
    *three, last = layers_of(head, keras.layers.GRU)
    seen: list[np.ndarray] = []
    for layer, norm in zip(three, norms, strict=True):
        gamma, beta, mean, variance = norm.get_weights()
        made = gru(np.concatenate(seen, axis=1) if seen else x, layer)
        scale = [v[:, None] if normalise == "steps" else v for v in (gamma, beta, mean, variance)]
        seen.append((made - scale[2]) / np.sqrt(scale[3] + 1e-5) * scale[0] + scale[1])
    kernel, bias = weights_of(head, "classes")
    expected = gru(np.concatenate(seen, axis=1), last)[-1] @ kernel + bias
    np.testing.assert_allclose(head(maps)["clip"][0], expected, atol=1e-5)


def test_the_inception_blocks_halve_the_steps():
    head = built(name="chrononet_inception", filters=4, units=3, hidden=5)
    convolutions = layers_of(head, keras.layers.Conv1D)
    assert [layer.kernel_size for layer in convolutions] == [(2,), (4,), (8,)] * 3
    assert [layer.output.shape[1] for layer in convolutions[::3]] == [6, 3, 2]
    grus = layers_of(head, keras.layers.GRU)
    assert [layer.get_weights()[0].shape[0] for layer in grus] == [12, 3, 6, 9]
    free = built(None, name="chrononet_inception", filters=4, units=3, hidden=5)
    assert free(np.zeros((1, 9, F, C), np.float32))["clip"].shape == (1, CLASSES)


@pytest.mark.parametrize("name", ["chrononet", "chrononet_inception"])
def test_an_unrolled_head_answers_the_same(maps, name):
    rolled, unrolled = (built(name=name, units=3, unroll=unroll) for unroll in (False, True))
    unrolled.set_weights(rolled.get_weights())
    np.testing.assert_allclose(unrolled(maps)["clip"], rolled(maps)["clip"], atol=1e-5)
