"""Fit one network on patches: epochs, early stopping, and a checkpoint from which a killed training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.errors import ConfigError, DataError
from ecotf.models.patch_network import Network
from ecotf.pipelines.patch_batches import AugmentationConfig, patch_batches
from ecotf.pipelines.patches import NOT_KNOWN, PatchesConfig, PatchTable
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.training.fit_state import FitState
from ecotf.training.run_store import EpochWatch, Log

if TYPE_CHECKING:
    import pandas as pd

_SAVE_EVERY_S = 15.0
HISTORY = ["network", "epoch", "loss", "valid_loss"]


class FitNetworkStage(Config):
    """Fit the network called ``network`` with Adam until its validation loss stops falling.

    Attributes
    ----------
    loss
        ``binary`` cross-entropy for independent sigmoid scores, ``categorical`` for a softmax.
    min_delta, patience
        Training stops after ``patience`` epochs that did not improve the validation loss by ``min_delta``; the best
        epoch's weights stay.
    """

    name: Literal["fit_network"] = "fit_network"
    network: str
    loss: Literal["binary", "categorical"] = "binary"
    learning_rate: float = Field(8.483428982440717e-4, gt=0)
    beta_1: float = Field(0.9, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-8, gt=0)
    batch: int = Field(320, ge=1)
    epochs: int = Field(200, ge=1)
    min_delta: float = Field(0.005, ge=0)
    patience: int = Field(20, ge=1)
    balanced: bool = True
    augmentation: AugmentationConfig = AugmentationConfig()


def fit_network(
    network: Network,
    stage: FitNetworkStage,
    train: PatchTable,
    valid: PatchTable,
    spectrograms: Sequence[StoredSpectrogram],
    patches: PatchesConfig,
    seed: int,
    checkpoint: Path,
    log: Log,
    watch: EpochWatch | None = None,
) -> pd.DataFrame:
    """Fit ``network`` in place.

    Parameters
    ----------
    train, valid
        Patches of training and of validation recordings; their ``recording`` indexes ``spectrograms``.
    checkpoint
        Written now and then, read when it is there: the same seed gives the same weights with or without a kill.

    Notes
    -----
    A call of unknown species teaches a network that answers ``call`` that there is a call, and nothing to one that
    answers ``species``. One that answers ``call_and_species`` learns "not no call" from it, and its species' scores are
    left out of the loss of that patch. Epochs are compared on patches whose species is known.

    Returns
    -------
    One row an epoch: ``network, epoch, loss, valid_loss``, and ``valid_score`` if there is a ``watch``.

    Raises
    ------
    DataError
        There is no patch to fit on, or to choose by.
    ConfigError
        The loss is not a number any more.
    """

    import keras
    import pandas as pd

    answers = network.config.head.answers
    if answers == "species":
        # This network is only ever asked about calls.
        train, valid = train.take(np.flatnonzero(train.is_call)), valid.take(np.flatnonzero(valid.is_call))
        train = train.take(np.flatnonzero(~train.is_unnamed))
    if answers != "call":
        valid = valid.take(np.flatnonzero(~valid.is_unnamed))
    for table, side in ((train, "training"), (valid, "validation")):
        if not len(table):
            raise DataError(f"network {network.config.name!r}: the {side} recordings hold no patch to fit on")
    targets = train.targets(answers)
    weights = balanced_weights(np.maximum(targets, 0)) if stage.balanced else np.ones(len(train), np.float32)
    model = network.model
    optimizer = keras.optimizers.Adam(stage.learning_rate, stage.beta_1, stage.beta_2, stage.epsilon)
    losses = {"binary": keras.losses.BinaryCrossentropy, "categorical": keras.losses.CategoricalCrossentropy}
    model.compile(optimizer, known_cross_entropy if (targets == NOT_KNOWN).any() else losses[stage.loss]())
    optimizer.build(model.trainable_variables)
    state = FitState(model, optimizer, checkpoint, _SAVE_EVERY_S)
    valid_targets = valid.targets(answers)
    valid_weights = balanced_weights(valid_targets) if stage.balanced else np.ones(len(valid), np.float32)
    valid_set = patch_batches(valid, valid_targets, valid_weights, spectrograms, patches, batch=stage.batch)

    while state.epoch < stage.epochs and state.waited < stage.patience:
        if watch is not None and state.history:
            watch.check(state.history)
        rng = np.random.default_rng([seed, state.epoch])
        batches = patch_batches(
            train,
            targets,
            weights,
            spectrograms,
            patches,
            batch=stage.batch,
            augmentation=stage.augmentation,
            rng=rng,
        )
        loss = float(model.fit(batches, shuffle=False, verbose=0).history["loss"][0])
        valid_loss = float(model.evaluate(valid_set, verbose=0))
        if not np.isfinite(loss + valid_loss):
            raise ConfigError(
                f"network {network.config.name!r}: after epoch {state.epoch + 1} the loss is not a number; "
                f"use a smaller learning_rate than {stage.learning_rate:g}"
            )
        row = {"network": network.config.name, "epoch": state.epoch + 1, "loss": loss, "valid_loss": valid_loss}
        if watch is not None:
            row["valid_score"] = watch.measure(model, valid_set, valid_targets)
        better = state.note(row, valid_loss, stage.min_delta)
        log(
            f"{network.config.name}: epoch {state.epoch}/{stage.epochs}  loss {loss:.4f}  validation {valid_loss:.4f}"
            + ("  best so far" if better else "")
        )
    state.restore_best()
    return pd.DataFrame(state.history)


def known_cross_entropy(targets: Any, scores: Any) -> Any:
    """Binary cross-entropy as Keras has it; a target of :data:`NOT_KNOWN` is no error. ``[n, k]`` to ``[n]``."""
    import keras

    known = keras.ops.cast(targets >= 0, scores.dtype)
    errors = keras.ops.binary_crossentropy(targets * known, scores)
    return keras.ops.mean(errors * known, axis=-1)


def balanced_weights(targets: np.ndarray) -> np.ndarray:
    """Weight of each sample so that every class counts the same: the mean of its classes' ``n / (classes * count)``.

    Parameters
    ----------
    targets
        0 or 1, ``[n, k]``; a row of zeros has weight 1.
    """
    counts = targets.sum(axis=0)
    present = np.count_nonzero(counts)
    per_class = np.where(counts > 0, len(targets) / (max(present, 1) * np.maximum(counts, 1)), 0)
    n_labels = targets.sum(axis=1)
    weights = np.where(n_labels > 0, targets @ per_class / np.maximum(n_labels, 1), 1.0)
    return weights.astype(np.float32)
