"""A network: patches of a spectrogram in, scores out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from ecotf.config import Config
from ecotf.models.backbones import PatchBackbone, build_backbone
from ecotf.models.heads import HEADS
from ecotf.models.heads.dense import DenseHeadConfig


class NetworkConfig(Config):
    """A backbone with its head; ``name`` is how the training stages refer to it."""

    name: str = Field(pattern=r"^\w[\w.-]*$")  # it is the name of a file, too
    backbone: PatchBackbone
    head: DenseHeadConfig = DenseHeadConfig()


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

    backbone = build_backbone(config.backbone, (columns, bands, 1))
    inputs = keras.Input(backbone.input_shape[1:])
    x = embedding = backbone(inputs)
    if config.backbone.head_dropout:
        x = keras.layers.Dropout(config.backbone.head_dropout)(x)
    scores = HEADS.build(config.head, n_species)(x)
    both = keras.Model(inputs, keras.layers.Concatenate()([embedding, scores]))
    return Network(config, backbone, keras.Model(inputs, scores, name=config.name), both)
