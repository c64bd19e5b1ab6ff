"""ecotf's own small network for recorders: separable convolutions that keep absolute frequency."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ecotf.config import Config
from ecotf.models.backbones.parts import BackboneParts


class FieldCnnConfig(Config):
    """Separable convolutions (Sifre 2014), pooled in frequency after every layer and in time after two of them, then
    squeezed to few channels, so that the dense embedding stays small.

    A bat species is told by *absolute* frequency, so frequency is flattened into the embedding, never averaged.
    """

    name: Literal["field_cnn"] = "field_cnn"
    filters: tuple[int, ...] = Field((16, 32, 48, 48), min_length=3)
    squeeze: int = Field(24, ge=1)
    embedding: int = Field(64, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)


def build_field_cnn(config: FieldCnnConfig, columns: int, rows: int) -> BackboneParts:
    """Build the network; time is pooled by 2 after the second and third layer, so the trunk's stride is 4 columns."""
    import keras

    inputs = keras.Input((None, rows, 1))
    # Recorders differ in level and noise; this learns the scale of their decibels.
    x = keras.layers.BatchNormalization(momentum=0.9)(inputs)
    stride, reach = 1, 0
    for layer, filters in enumerate(config.filters):
        convolution = keras.layers.Conv2D if layer == 0 else keras.layers.SeparableConv2D
        x = convolution(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
        reach += stride
        pool = 2 if layer in (1, 2) else 1
        x = keras.layers.MaxPooling2D((pool, 2))(x)
        stride *= pool
    x = keras.layers.Conv2D(config.squeeze, 1, activation="relu")(x)
    trunk = keras.Model(inputs, x, name="trunk")
    context = -(-2 * reach // stride) * stride
    neck_inputs = keras.Input((columns // stride, *x.shape[2:]))
    x = keras.layers.Dropout(config.dropout)(keras.layers.Flatten()(neck_inputs))
    x = keras.layers.Dense(config.embedding, activation="relu")(x)
    return BackboneParts(trunk, keras.Model(neck_inputs, x, name="neck"), stride, context)
