"""A small network on embeddings: one hidden layer, trained in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.models.heads.base import HEADS, TableHeadConfig
from ecotf.models.heads.dense_layers import DenseHead, DenseLayers, load_dense, standardised
from ecotf.models.heads.several_labels import Strategy, fit_several


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
    """Fit a small network; the parameters are those of `ecotf.models.heads.logistic.fit_logistic`."""
    mean, scale = standardised(rows)
    seen, targets = ((rows - mean) / scale).astype(np.float32), np.asarray(targets, np.float32)
    wide = np.pad(mean, (0, targets.shape[1])), np.pad(scale, (0, targets.shape[1]), constant_values=1.0)
    if config.strategy == "one_vs_rest":
        parts, combinations = [_train(config, seen, targets, False, seed)], None
        if progress is not None:
            progress(targets.shape[1], targets.shape[1])
    else:
        fits, combinations = fit_several(config.strategy, lambda: _Codes(config, seed), seen, targets > 0.5, progress)
        parts = [fit.layers for fit in fits]
    kept = [part.after(*(edge[: len(part.kernels[0])] for edge in wide)) for part in parts]
    return DenseHead(config.strategy, tuple(kept), combinations)


class _Codes:
    """One classifier of codes in the shape that scikit-multilearn asks for."""

    def __init__(self, config: SmallNetworkConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.layers = DenseLayers((), ())

    def fit(self, features: np.ndarray, targets: np.ndarray) -> _Codes:
        codes = np.asarray(targets).ravel().astype(int)
        n_codes = codes.max(initial=1) + 1
        wanted = codes[:, None] if n_codes == 2 else np.eye(n_codes)[codes]
        features, wanted = np.asarray(features, np.float32), wanted.astype(np.float32)
        self.layers = _train(self.config, features, wanted, n_codes > 2, self.seed)
        return self


def _train(
    config: SmallNetworkConfig, rows: np.ndarray, targets: np.ndarray, one_of_all: bool, seed: int
) -> DenseLayers:
    """Train a network with an output for each column of ``targets``: each for itself, or one out of all."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
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

    @tf.function(reduce_retracing=True)
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
