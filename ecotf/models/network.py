"""A network: front-end windows in, scores out, with the one seam at which neighbouring windows can share their work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ecotf.config import Config
from ecotf.models.backbones import BackboneConfig, build_backbone
from ecotf.models.backbones.cnn import CnnConfig

if TYPE_CHECKING:
    from ecotf.models.backbones.parts import BackboneParts

Answers = Literal["call_and_species", "call", "species"]


class DenseHeadConfig(Config):
    """One dense layer of scores.

    ``answers`` says what the scores mean: ``call_and_species`` gives "not a call" first and every species after it,
    ``call`` gives "not a call" and "call", ``species`` gives the species of what is known to be a call.
    """

    name: Literal["dense"] = "dense"
    answers: Answers = "call_and_species"
    activation: Literal["sigmoid", "softmax"] = "sigmoid"


class NetworkConfig(Config):
    """A backbone with its head; ``name`` is how the training stages refer to it."""

    name: str
    backbone: BackboneConfig
    head: DenseHeadConfig = DenseHeadConfig()


def n_outputs(answers: Answers, n_species: int) -> int:
    """Number of scores of a head that gives ``answers`` about ``n_species`` species."""
    return {"call_and_species": n_species + 1, "call": 2, "species": n_species}[answers]


@dataclass(frozen=True)
class Network:
    """A built network.

    Attributes
    ----------
    parts
        Trunk and neck of the backbone.
    head
        Keras model ``(batch, embedding) -> (batch, scores)``.
    model
        The whole: ``(batch, columns, rows, 1) -> (batch, scores)``.
    """

    config: NetworkConfig
    parts: BackboneParts
    head: Any
    model: Any
    columns: int
    rows: int

    @property
    def n_parameters(self) -> int:
        """Number of weights, trained and not."""
        return int(self.model.count_params())


def build_network(config: NetworkConfig, n_species: int, columns: int, rows: int) -> Network:
    """Build a network for windows of ``columns`` time steps by ``rows`` bands and ``n_species`` species."""
    import keras

    parts = build_backbone(config.backbone, columns, rows)
    x = head_inputs = keras.Input(parts.neck.output_shape[1:])
    if isinstance(config.backbone, CnnConfig):
        x = keras.layers.Dropout(config.backbone.dropout)(x)
    x = keras.layers.Dense(n_outputs(config.head.answers, n_species), activation=config.head.activation)(x)
    head = keras.Model(head_inputs, x, name="head")
    inputs = keras.Input((columns, rows, 1))
    model = keras.Model(inputs, head(parts.neck(parts.trunk(inputs))), name=config.name)
    return Network(config, parts, head, model, columns, rows)
