"""Fit one network on patches: epochs, early stopping, and a checkpoint from which a killed training continues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.errors import DataError
from ecotf.models.detector import Detector
from ecotf.models.patch_network import Network
from ecotf.pipelines.class_weights import balanced_weights
from ecotf.pipelines.patch_batches import AugmentationConfig, patch_batches
from ecotf.pipelines.patches import NOT_KNOWN, PatchTable
from ecotf.tasks.calls.material import Material
from ecotf.training.epochs import Epoch, Limits, require_numbers, run_epochs
from ecotf.training.fit_state import FitState
from ecotf.training.run_store import EpochWatch
from ecotf.training.stages import STAGES, FitPlace, Fitted, StageConfig

if TYPE_CHECKING:
    import pandas as pd


HISTORY = ["network", "epoch", "loss", "valid_loss"]


class FitNetworkStage(StageConfig):
    """Fit the network called ``network`` with Adam until its validation loss stops falling.

    Attributes
    ----------
    loss
        ``binary`` cross-entropy for independent sigmoid scores, ``categorical`` for a softmax.
    min_delta, patience
        Training stops after ``patience`` epochs that did not improve the validation loss by ``min_delta``; the best
        epoch's weights stay.
    """

    learns_from: ClassVar[Literal["patches"]] = "patches"

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

    @property
    def trains(self) -> tuple[str, ...]:
        """The network."""
        return (self.network,)

    @property
    def activation(self) -> Literal["sigmoid", "softmax"]:
        """The activation of a head that the loss goes with."""
        return "softmax" if self.loss == "categorical" else "sigmoid"


@STAGES.register(FitNetworkStage)
def fit_network_stage(stage: FitNetworkStage, detector: Detector, material: Material, place: FitPlace) -> Fitted:
    """Fit the network of ``detector`` that the stage names; `fit_network` says how."""
    network = next(network for network in detector.networks if network.config.name == stage.network)
    place.log(f"network {network.config.name}: {network.n_parameters:,} parameters")
    return Fitted(detector, fit_network(network, stage, material, place))


def fit_network(network: Network, stage: FitNetworkStage, material: Material, place: FitPlace) -> pd.DataFrame:
    """Fit ``network`` in place.

    ``place.watch`` is an `EpochWatch`.

    Notes
    -----
    A call of unknown species teaches a network that answers ``call`` that there is a call, and nothing to one that
    answers ``species``. One that answers ``call_and_species`` learns "not no call" from it, and its species' scores are
    left out of the loss of that patch. Epochs are compared on patches whose species is known.

    Returns
    -------
    One row an epoch: ``network, epoch, loss, valid_loss``, and ``valid_score`` if there is a watch.

    Raises
    ------
    DataError
        There is no patch to fit on, or to choose by.
    ConfigError
        The loss is not a number any more.
    """
    import keras

    model, name = network.model, network.config.name
    train = _side(network, stage, material, material.train, judged=False)
    valid = _side(network, stage, material, material.valid, judged=True)
    for side, what in ((train, "training"), (valid, "validation")):
        if not len(side.table):
            raise DataError(f"network {name!r}: the {what} recordings hold no patch to fit on")
    optimizer = keras.optimizers.Adam(stage.learning_rate, stage.beta_1, stage.beta_2, stage.epsilon)
    losses = {"binary": keras.losses.BinaryCrossentropy, "categorical": keras.losses.CategoricalCrossentropy}
    some_unknown = (train.targets == NOT_KNOWN).any()
    model.compile(optimizer, known_cross_entropy if some_unknown else losses[stage.loss]())
    optimizer.build(model.trainable_variables)
    state = FitState(model, optimizer, place.checkpoint, place.save_every_s)
    valid_set = valid.batches()
    watch: EpochWatch | None = place.watch

    def one_epoch(number: int) -> Epoch:
        rng = np.random.default_rng([material.seed, number])
        batches = train.batches(augmentation=stage.augmentation, rng=rng)
        loss = float(model.fit(batches, shuffle=False, verbose=0).history["loss"][0])
        valid_loss = float(model.evaluate(valid_set, verbose=0))
        require_numbers(f"network {name!r}", number, stage.learning_rate, loss, valid_loss)
        row = {"network": name, "epoch": number + 1, "loss": loss, "valid_loss": valid_loss}
        if watch is not None:
            row["valid_score"] = watch.measure(model, valid_set, valid.targets)
        return Epoch(row, f"loss {loss:.4f}  validation {valid_loss:.4f}", valid_loss)

    limits = Limits(stage.epochs, stage.patience, stage.min_delta)
    return run_epochs(name, state, limits, one_epoch, place.log, None if watch is None else watch.check)


@dataclass(frozen=True)
class _Side:
    """Patches with their targets and weights."""

    table: PatchTable
    targets: np.ndarray
    weights: np.ndarray
    material: Material
    batch: int

    def batches(self, **options: Any) -> Any:
        material = self.material
        return patch_batches(
            self.table, self.targets, self.weights, material.spectrograms, material.patches, batch=self.batch, **options
        )


def _side(network: Network, stage: FitNetworkStage, material: Material, table: PatchTable, judged: bool) -> _Side:
    """Patches of training recordings, or those that epochs are ``judged`` by."""
    answers = network.config.head.answers
    if answers == "species":
        table = table.take(np.flatnonzero(table.is_call))  # this network is only ever asked about calls
    if answers == "species" or (judged and answers != "call"):
        table = table.take(np.flatnonzero(~table.is_unnamed))
    targets = table.targets(answers)
    weights = balanced_weights(np.maximum(targets, 0)) if stage.balanced else np.ones(len(table), np.float32)
    return _Side(table, targets, weights, material, stage.batch)


def known_cross_entropy(targets: Any, scores: Any) -> Any:
    """Binary cross-entropy as Keras has it; a target of :data:`NOT_KNOWN` is no error. ``[n, k]`` to ``[n]``."""
    import keras

    known = keras.ops.cast(targets >= 0, scores.dtype)
    errors = keras.ops.binary_crossentropy(targets * known, scores)
    return keras.ops.mean(errors * known, axis=-1)
