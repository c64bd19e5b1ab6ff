"""The convolutional networks of Dierckx, Beauvois and Nijssen (IDA 2022) for bat calls."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ecotf.config import Config
from ecotf.models.backbones.parts import BackboneParts


class CnnConfig(Config):
    """Plain convolutional network; the defaults are the published eight-class one."""

    name: Literal["cnn"] = "cnn"
    convolutions: int = Field(3, ge=1, le=5)
    filters: int = Field(48, ge=1)
    kernel: int = Field(4, ge=1)
    pool: int = Field(2, ge=1)
    dense_layers: int = Field(1, ge=1)
    dense_units: int = Field(320, ge=1)
    dropout: float = Field(0.6, ge=0, lt=1)


def build_cnn(config: CnnConfig, columns: int, rows: int) -> BackboneParts:
    """Build the network for windows of ``columns`` x ``rows``.

    The trunk pads its convolutions, so a window alone is seen with zeros around it (as published), and a window in a
    longer stretch is seen with its true surroundings.
    """
    import keras

    x = inputs = keras.Input((None, rows, 1))
    for _ in range(config.convolutions):
        x = keras.layers.Conv2D(config.filters, config.kernel, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D(config.pool)(x)
    trunk = keras.Model(inputs, x, name="trunk")

    stride = config.pool**config.convolutions
    width = columns
    for _ in range(config.convolutions):
        width //= config.pool
    x = neck_inputs = keras.Input((width, *x.shape[2:]))
    x = keras.layers.Flatten()(keras.layers.Dropout(config.dropout)(x))
    for layer in range(config.dense_layers):
        if layer:
            x = keras.layers.Dropout(config.dropout)(x)
        x = keras.layers.Dense(config.dense_units, activation="relu")(x)
    neck = keras.Model(neck_inputs, x, name="neck")

    reach = sum((config.kernel - 1) * config.pool**layer for layer in range(config.convolutions))
    context = -(-reach // stride) * stride
    return BackboneParts(trunk, neck, stride, context)
