"""A small network on embeddings: one hidden layer, trained in seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.models.heads.base import HEADS, TableHeadConfig
from ecotf.models.heads.dense_layers import DenseHead, DenseLayers, fit_dense, load_dense
from ecotf.models.heads.several_labels import Strategy


class SmallNetworkConfig(TableHeadConfig):
    """A network with one hidden layer.

    Attributes
    ----------
    strategy
        See `ecotf.models.heads.several_labels.fit_several`; all classes of ``one_vs_rest`` share the hidden layer.
    units
        Of the hidden layer.
    dropout
        Share of the embedding, and of the hidden layer, that a step does not see.
    weight_decay
        Of AdamW.
    """

    class_layers: ClassVar[tuple[str, ...]] = ()

    name: Literal["network"] = "network"
    strategy: Strategy = "one_vs_rest"
    units: int = Field(128, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    epochs: int = Field(60, ge=1)
    batch: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)

    def load(self, folder: Path) -> DenseHead:
        """Read a fitted head."""
        return load_dense(folder)


@HEADS.register(SmallNetworkConfig)
def fit_small_network(
    config: SmallNetworkConfig,
    rows: np.ndarray,
    targets: np.ndarray,
    seed: int,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
    groups: np.ndarray | None = None,
) -> DenseHead:
    """Fit a small network; the parameters are those of `ecotf.models.heads.dense_layers.fit_dense`."""
    return fit_dense(config.strategy, partial(_train, config, seed=seed), rows, targets, progress)


def _train(
    config: SmallNetworkConfig, rows: np.ndarray, targets: np.ndarray, one_of_all: bool, *, seed: int
) -> DenseLayers:
    """Train a network with an output for each column of ``targets``: each for itself, or one out of all."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    rows, targets = rows.astype(np.float32), targets.astype(np.float32)
    hidden = keras.layers.Dense(config.units, activation="relu")
    # Few rows: it begins with what is likely of each class, and learns the rest.
    share = np.clip(targets.mean(axis=0), 1e-3, 1 - 1e-3)
    usual = np.log(share) if one_of_all else np.log(share / (1 - share))
    answer = keras.layers.Dense(targets.shape[1], bias_initializer=keras.initializers.Constant(usual))
    model = keras.Sequential(
        [keras.Input((rows.shape[1],)), keras.layers.Dropout(config.dropout, seed=seed), hidden,
         keras.layers.Dropout(config.dropout, seed=seed + 1), answer]
    )  # fmt: skip
    loss_of: Any = keras.losses.CategoricalCrossentropy if one_of_all else keras.losses.BinaryCrossentropy
    loss = loss_of(from_logits=True)
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True, autograph=False)
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)

    rng = np.random.default_rng(seed)
    for epoch in range(config.epochs):
        optimizer.learning_rate.assign(0.5 * config.learning_rate * (1 + np.cos(np.pi * epoch / config.epochs)))
        order = rng.permutation(len(rows))
        for at in range(0, len(rows), config.batch):
            step(tf.constant(rows[order[at : at + config.batch]]), tf.constant(targets[order[at : at + config.batch]]))
    weights = [layer.get_weights() for layer in (hidden, answer)]
    return DenseLayers(tuple(kernel for kernel, _ in weights), tuple(bias for _, bias in weights))
