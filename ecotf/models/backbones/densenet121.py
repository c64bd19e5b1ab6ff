"""DenseNet-121 (Huang et al., CVPR 2017, arXiv:1608.06993), as keras.applications has it."""

from __future__ import annotations

from typing import Any, Literal

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted


class DenseNet121Config(ImageBackboneConfig):
    """DenseNet-121 without its classifier: 6,953,856 parameters that are trained, on three channels."""

    name: Literal["densenet121"] = "densenet121"


@BACKBONES.register(DenseNet121Config)
def build_densenet121(config: DenseNet121Config, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times."""

    def make(channels: int, weights: str | None) -> Any:
        import keras

        return keras.applications.DenseNet121(
            include_top=False, weights=weights, input_shape=(None, shape[1], channels), name="backbone"
        )

    return build_weighted(
        config.name, config.weights, shape[2], lambda n: make(n, None), lambda weights: make(3, weights)
    )
