"""ChronoNet with blocks of parallel convolutions before its recurrent layers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS
from ecotf.models.heads.recurrent import RecurrentHeadConfig, classified, dense_gru, steps


class InceptionChronoNetHeadConfig(RecurrentHeadConfig):
    """Three blocks of parallel strided convolutions before the GRUs (its version 1.2).

    Attributes
    ----------
    filters, kernels
        Each block is a convolution of ``filters`` filters for each kernel, side by side, all with stride 2.
    hidden
        Units of the dense layer before the classes.
    """

    name: Literal["chrononet_inception"] = "chrononet_inception"
    filters: int = Field(32, ge=1)
    kernels: tuple[int, ...] = Field((2, 4, 8), min_length=1)
    blocks: int = Field(3, ge=1)
    units: int = Field(32, ge=1)
    hidden: int = Field(64, ge=1)


@HEADS.register(InceptionChronoNetHeadConfig)
def build_inception_chrononet(
    config: InceptionChronoNetHeadConfig,
    feature_shape: tuple[int | None, int, int],
    n_classes: int,
    probabilities: bool,
) -> Any:
    """Build the head; every block of convolutions halves the steps."""
    import keras

    inputs = keras.Input(feature_shape)
    x = steps(inputs, feature_shape, config)
    for _ in range(config.blocks):
        sides = [
            keras.layers.Conv1D(config.filters, kernel, 2, padding="same", activation="relu")(x)
            for kernel in config.kernels
        ]
        x = keras.layers.Concatenate()(sides) if len(sides) > 1 else sides[0]
    x = dense_gru(x, config.units, config.unroll)
    x = keras.layers.Dense(config.hidden, activation="relu", name="hidden")(x)
    return classified(inputs, x, n_classes, probabilities)
