"""MobileNetV3 (Howard et al., ICCV 2019), as keras.applications has it."""

from __future__ import annotations

from typing import Any, Literal

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted

_CLASSES = {"mobilenet_v3_small": "MobileNetV3Small", "mobilenet_v3_large": "MobileNetV3Large"}


class MobileNetV3Config(ImageBackboneConfig):
    """A MobileNetV3 without its classifier."""

    name: Literal["mobilenet_v3_small", "mobilenet_v3_large"]


@BACKBONES.register(MobileNetV3Config)
def build_mobilenet_v3(config: MobileNetV3Config, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times."""

    def make(channels: int, weights: str | None) -> Any:
        import keras

        return getattr(keras.applications, _CLASSES[config.name])(
            include_top=False,
            weights=weights,
            input_shape=(None, shape[1], channels),
            include_preprocessing=False,
            name="backbone",
        )

    return build_weighted(
        config.name, config.weights, shape[2], lambda n: make(n, None), lambda weights: make(3, weights)
    )
