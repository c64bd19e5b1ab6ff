"""The convolutional networks of Dierckx, Beauvois and Nijssen (IDA 2022) for bat calls."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES, BackboneConfig


class CnnConfig(BackboneConfig):
    """Plain convolutional network; the defaults are the published eight-class one."""

    name: Literal["cnn"] = "cnn"
    convolutions: int = Field(3, ge=1, le=5)
    filters: int = Field(48, ge=1)
    kernel: int = Field(4, ge=1)
    pool: int = Field(2, ge=1)
    dense_layers: int = Field(1, ge=1)
    dense_units: int = Field(320, ge=1)
    dropout: float = Field(0.6, ge=0, lt=1)

    @property
    def smallest(self) -> tuple[int, int]:
        """Columns and bands that a patch must have at least to be pooled so often."""
        return self.pool**self.convolutions, self.pool**self.convolutions

    @property
    def head_dropout(self) -> float:
        """The dropout between the last dense layer and the head."""
        return self.dropout


@BACKBONES.register(CnnConfig)
def build_cnn(config: CnnConfig, shape: tuple[int, int, int]) -> Any:
    """Build the network; its embedding is the last dense layer, before the dropout that its head begins with."""
    import keras

    x = inputs = keras.Input(shape)
    for _ in range(config.convolutions):
        x = keras.layers.Conv2D(config.filters, config.kernel, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D(config.pool)(x)
    x = keras.layers.Flatten()(keras.layers.Dropout(config.dropout)(x))
    for layer in range(config.dense_layers):
        if layer:
            x = keras.layers.Dropout(config.dropout)(x)
        x = keras.layers.Dense(config.dense_units, activation="relu")(x)
    return keras.Model(inputs, x, name="backbone")
