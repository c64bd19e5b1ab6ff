"""The head of PANNs: maximum and mean over time, a dense layer that is the embedding, classes (Kong et al. 2020)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS, HeadConfig
from ecotf.models.heads.pooled import mean_max_over_time


class PannsHeadConfig(HeadConfig):
    """Mean over frequency; maximum plus mean over time; a dense layer; the classes.

    Attributes
    ----------
    hidden
        Units of the dense layer, whose positive part is the embedding; null: as many as the feature map has channels,
        as published (2048 of CNN14, 1024 of MobileNetV1, 512 of CNN10 and CNN6).
    dropout
        Before the dense layer.
    class_dropout
        Between the dense layer and the classes. The published code has none there: it drops half of the embedding
        that it hands out, but not of what the classes are read from.
    """

    embedding_layer: ClassVar[str | None] = "hidden"

    name: Literal["panns"] = "panns"
    hidden: int | None = Field(None, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    class_dropout: float = Field(0.0, ge=0, lt=1)


@HEADS.register(PannsHeadConfig)
def build_panns(
    config: PannsHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head."""
    import keras

    inputs = keras.Input(feature_shape)
    x = keras.layers.Dropout(config.dropout)(mean_max_over_time(inputs))
    x = keras.layers.Dense(config.hidden or feature_shape[2], activation="relu", name="hidden")(x)
    if config.class_dropout:
        x = keras.layers.Dropout(config.class_dropout)(x)
    clip = keras.layers.Dense(n_classes, dtype="float32", name="classes")(x)
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")
