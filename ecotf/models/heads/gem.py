"""Generalised mean over the whole clip (Radenovic et al., TPAMI 2019) and dropout several times (Inoue 2019)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS, HeadConfig


class GemHeadConfig(HeadConfig):
    """The CNN head of BirdCLEF 2023.

    Attributes
    ----------
    power
        Of the mean, to begin with; it is learned. 1 is the mean, more is nearer to the maximum.
    dropout, samples
        In training the classes are the average of ``samples`` answers, each with its own dropout.
    """

    name: Literal["gem"] = "gem"
    power: float = Field(3.0, gt=0, le=20)
    dropout: float = Field(0.5, ge=0, lt=1)
    samples: int = Field(5, ge=1, le=64)


@HEADS.register(GemHeadConfig)
def build_gem(
    config: GemHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head: pool, drop, one dense layer."""
    import keras

    from ecotf.models.heads.pooling import GeneralisedMean

    inputs = keras.Input(feature_shape)
    x = GeneralisedMean(config.power, name="pool")(inputs)
    # The layer is linear: the average of its answers is its answer to the average.
    dropped = [keras.layers.Dropout(config.dropout)(x) for _ in range(config.samples)]
    x = keras.layers.Average()(dropped) if len(dropped) > 1 else dropped[0]
    clip = keras.layers.Dense(n_classes, dtype="float32", name="classes")(x)
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")
