"""Maximum and mean over time, and the classes at once, without a hidden layer: for few clips."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS, HeadConfig
from ecotf.models.heads.pooled import mean_max_over_time


class MeanMaxHeadConfig(HeadConfig):
    """Mean over frequency; maximum plus mean over time, as PANNs have it (Kong et al. 2020); the classes.

    Attributes
    ----------
    dropout
        Share of the pooled channels that is dropped in training.
    """

    embedding_layer: ClassVar[str | None] = "pooled"

    name: Literal["mean_max"] = "mean_max"
    dropout: float = Field(0.3, ge=0, lt=1)


@HEADS.register(MeanMaxHeadConfig)
def build_mean_max(
    config: MeanMaxHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head: pool, drop, one dense layer."""
    import keras

    inputs = keras.Input(feature_shape)
    x = keras.layers.Dropout(config.dropout, name="pooled")(mean_max_over_time(inputs))
    clip = keras.layers.Dense(n_classes, dtype="float32", name="classes")(x)
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")
