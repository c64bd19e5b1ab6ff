"""Losses of contrastive learning, against sums written out one by one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ecotf.training.contrast import ContrastConfig, coding_rate, contrast_loss

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(9, 5)).astype(np.float32)
TARGETS = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 1, 2, 3, 3, 0]]
TARGETS[6] = 0  # of no class
UNIT = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)


def supcon(temperature: float) -> float:
    cosines, losses = UNIT @ UNIT.T / temperature, []
    for i in range(9):
        own = [j for j in range(9) if j != i and TARGETS[i] @ TARGETS[j] > 0]
        total = np.log(sum(np.exp(cosines[i, j]) for j in range(9) if j != i))
        if own:
            losses.append(-np.mean([cosines[i, j] - total for j in own]))
    return float(np.mean(losses))


def to_means(temperature: float) -> float:
    means = {k: UNIT[TARGETS[:, k] > 0].mean(axis=0) for k in range(4)}
    losses = []
    for i in range(9):
        if TARGETS[i].any():
            logits = {k: UNIT[i] @ mean / temperature for k, mean in means.items()}
            losses.append(np.log(sum(np.exp(list(logits.values())))) - logits[int(TARGETS[i].argmax())])
    return float(np.mean(losses))


@pytest.mark.parametrize(("to", "expected"), [("examples", supcon), ("means", to_means)])
def test_a_loss_is_the_published_one(to, expected):
    config = ContrastConfig(to=to, temperature=0.3, coding_rate=0)
    assert float(contrast_loss(config, ROWS, TARGETS)) == pytest.approx(expected(0.3), rel=1e-5)


def test_the_coding_rate_is_greatest_where_all_directions_are_used():
    rate = float(coding_rate(tf.constant(UNIT), 0.05))
    values = np.linalg.eigvalsh(UNIT.T @ UNIT)
    assert rate == pytest.approx(0.5 * np.log1p(5 / (9 * 0.05) * values).sum(), rel=1e-4)
    assert rate > float(coding_rate(tf.constant(np.repeat(UNIT[:1], 9, axis=0)), 0.05))
    plain, rated = (contrast_loss(ContrastConfig(coding_rate=weight), ROWS, TARGETS) for weight in (0.0, 0.5))
    assert float(plain) - float(rated) == pytest.approx(0.5 * rate, rel=1e-4)


@pytest.mark.parametrize("to", ["examples", "means"])
def test_clips_of_a_class_come_together(to):
    config, rows = ContrastConfig(to=to, temperature=0.2), tf.Variable(ROWS)
    optimizer = keras.optimizers.SGD(1.0)
    for _ in range(80):
        with tf.GradientTape() as tape:
            loss = contrast_loss(config, rows, TARGETS)
        slope = tape.gradient(loss, rows)
        assert np.isfinite(slope).all()
        optimizer.apply_gradients([(slope, rows)])
    unit = rows.numpy() / np.linalg.norm(rows.numpy(), axis=1, keepdims=True)
    cosines, same = unit @ unit.T, TARGETS @ TARGETS.T > 0
    known = TARGETS.any(axis=1)
    apart = ~same & known[:, None] & known
    assert cosines[same].mean() > 0.8 and cosines[apart].mean() < 0
