"""ChronoNet (Roy et al. 2019, arXiv:1802.00308) on the features of a backbone."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS
from ecotf.models.heads.recurrent import RecurrentHeadConfig, classified, dense_gru, steps


class ChronoNetHeadConfig(RecurrentHeadConfig):
    """Four densely connected GRUs on the features of a frozen backbone (BirdCLEF 2024, its version 4.2).

    Attributes
    ----------
    normalise
        What the GRUs' answers are batch-normalised by: ``steps``, as published, a scale for each step, so that all
        clips are of one length; ``features``, one for each unit.
    """

    name: Literal["chrononet"] = "chrononet"
    units: int = Field(128, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    normalise: Literal["steps", "features"] = "steps"

    @property
    def fixed_length(self) -> bool:
        """Whether all clips must be of one length."""
        return self.unroll or self.normalise == "steps"


@HEADS.register(ChronoNetHeadConfig)
def build_chrononet(
    config: ChronoNetHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head; the last GRU's last step is dropped out and classified."""
    import keras

    inputs = keras.Input(feature_shape)
    axis = 1 if config.normalise == "steps" else 2

    def normalised(x: Any) -> Any:
        return keras.layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=1e-5)(x)

    x = dense_gru(steps(inputs, feature_shape, config), config.units, config.unroll, normalised)
    return classified(inputs, keras.layers.Dropout(config.dropout)(x), n_classes, probabilities)
