"""A network: patches of a spectrogram in, scores out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from ecotf.config import Config
from ecotf.models.backbones import BackboneConfig, build_backbone
from ecotf.models.backbones.cnn import CnnConfig

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

    name: str = Field(pattern=r"^\w[\w.-]*$")  # it is the name of a file, too
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
    backbone
        Keras model ``(batch, columns, bands, 1) -> (batch, embedding)``.
    model
        The whole: ``(batch, columns, bands, 1) -> (batch, scores)``.
    both
        The same with the embedding and the scores side by side: ``-> (batch, embedding + scores)``.
    """

    config: NetworkConfig
    backbone: Any
    model: Any
    both: Any

    @property
    def n_parameters(self) -> int:
        """Number of weights, trained and not."""
        return int(self.model.count_params())


def build_network(config: NetworkConfig, n_species: int, columns: int, bands: int) -> Network:
    """Build a network for patches of ``columns`` time steps by ``bands`` bands and ``n_species`` species."""
    import keras

    backbone = build_backbone(config.backbone, columns, bands)
    inputs = keras.Input(backbone.input_shape[1:])
    x = embedding = backbone(inputs)
    if isinstance(config.backbone, CnnConfig):
        x = keras.layers.Dropout(config.backbone.dropout)(x)
    scores = keras.layers.Dense(n_outputs(config.head.answers, n_species), activation=config.head.activation)(x)
    both = keras.Model(inputs, keras.layers.Concatenate()([embedding, scores]))
    return Network(config, backbone, keras.Model(inputs, scores, name=config.name), both)
