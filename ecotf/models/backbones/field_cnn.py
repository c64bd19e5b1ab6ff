"""ecotf's own small network for recorders: separable convolutions that keep absolute frequency."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES, BackboneConfig


class FieldCnnConfig(BackboneConfig):
    """Separable convolutions (Sifre 2014), pooled in frequency after every layer and in time after two of them, then
    squeezed to few channels, so that the dense embedding stays small.

    A bat species is told by *absolute* frequency, so frequency is flattened into the embedding, never averaged.
    """

    name: Literal["field_cnn"] = "field_cnn"
    filters: tuple[int, ...] = Field((16, 32, 48, 48), min_length=3)
    squeeze: int = Field(16, ge=1)
    embedding: int = Field(64, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)

    @property
    def smallest(self) -> tuple[int, int]:
        """Columns and bands that a patch must have at least to be pooled so often."""
        return 4, 2 ** len(self.filters)


@BACKBONES.register(FieldCnnConfig)
def build_field_cnn(config: FieldCnnConfig, shape: tuple[int, int, int]) -> Any:
    """Build the network; time is pooled by 2 after the second and the third layer."""
    import keras

    from ecotf.models.backbones.fused_norm import BatchNormalization

    inputs = keras.Input(shape)
    # Recorders differ in level and noise; this learns the scale of their decibels.
    x = BatchNormalization(momentum=0.9)(inputs)
    for layer, filters in enumerate(config.filters):
        convolution = keras.layers.Conv2D if layer == 0 else keras.layers.SeparableConv2D
        x = convolution(filters, 3, padding="same", use_bias=False)(x)
        x = BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D((2 if layer in (1, 2) else 1, 2))(x)
    x = keras.layers.Conv2D(config.squeeze, 1, activation="relu")(x)
    x = keras.layers.Dropout(config.dropout)(keras.layers.Flatten()(x))
    x = keras.layers.Dense(config.embedding, activation="relu")(x)
    return keras.Model(inputs, x, name="backbone")
