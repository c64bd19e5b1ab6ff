"""The mean over a clip, one hidden layer, and the classes: the head of MobileNetV3 (Howard et al., ICCV 2019)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS, HeadConfig


class MlpHeadConfig(HeadConfig):
    """Two dense layers over the mean of the feature map.

    Attributes
    ----------
    units
        Of the hidden layer; published for ``mn``: 1280 times the width.
    dropout
        Share of the hidden layer that is dropped in training.
    """

    name: Literal["mlp"] = "mlp"
    units: int = Field(1280, ge=1)
    activation: Literal["hard_swish", "relu"] = "hard_swish"
    dropout: float = Field(0.2, ge=0, lt=1)


@HEADS.register(MlpHeadConfig)
def build_mlp(
    config: MlpHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head: mean over time and frequency, hidden layer, dropout, classes."""
    import keras

    weights = keras.initializers.RandomNormal(stddev=0.01)
    inputs = keras.Input(feature_shape)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(inputs)
    x = keras.layers.Dense(config.units, config.activation, kernel_initializer=weights, name="hidden")(x)
    x = keras.layers.Dropout(config.dropout)(x)
    clip = keras.layers.Dense(n_classes, dtype="float32", kernel_initializer=weights, name="classes")(x)
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")
