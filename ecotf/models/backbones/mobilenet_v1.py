"""MobileNetV1 of PANNs (Howard et al. 2017; Kong et al., IEEE/ACM TASLP 2020)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.conv_block import convolve, normalise, pool, wide
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted

_FIRST = 32
_BLOCKS = (  # filters, and by how much time and frequency shrink
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip


class MobileNetV1Config(ImageBackboneConfig):
    """Depthwise and pointwise convolutions in turn; where time and frequency are halved, averages are taken.

    With 527 classes and the head ``panns`` it has 4,796,303 numbers to learn.

    Attributes
    ----------
    width
        Factor on all numbers of filters; 1 as published.
    """

    name: Literal["mobilenet_v1"] = "mobilenet_v1"
    width: float = Field(1.0, gt=0, le=4)


@BACKBONES.register(MobileNetV1Config)
def build_mobilenet_v1(config: MobileNetV1Config, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times, the feature map has 1024 x ``width`` channels."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(config, shape[1], n))


def _build(config: MobileNetV1Config, bands: int, channels: int) -> Any:
    import keras

    inputs = keras.Input((None, bands, channels))
    x = pool(convolve(inputs, wide(_FIRST, config.width), 3, "features_0_0"))
    x = normalise(x, "features_0_2")
    for number, (filters, step) in enumerate(_BLOCKS, start=1):
        name = f"features_{number}"
        x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_0")(x)
        x = normalise(pool(x, (step, step)), f"{name}_2")
        x = normalise(convolve(x, wide(filters, config.width), 1, f"{name}_4"), f"{name}_5")
    return keras.Model(inputs, x, name="backbone")
