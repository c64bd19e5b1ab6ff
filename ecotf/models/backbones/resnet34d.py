"""ResNet-34-D: deep stem, average pooling in the shortcuts (He et al. 2019; ``resnet34d`` in timm)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.residual import convolve, deep_stem, drop_rates, join, normalise
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted

_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # filters, blocks


class ResNet34dConfig(ImageBackboneConfig):
    """ResNet-34-D without its classifier.

    Attributes
    ----------
    drop_path
        Probability that the last block is dropped in training; it rises evenly from 0 for the first.
    """

    name: Literal["resnet34d"] = "resnet34d"
    drop_path: float = Field(0.2, ge=0, lt=1)


@BACKBONES.register(ResNet34dConfig)
def build_resnet34d(config: ResNet34dConfig, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(config, shape[1], n))


def _build(config: ResNet34dConfig, bands: int, channels: int) -> Any:
    import keras

    inputs = keras.Input((None, bands, channels))
    x = deep_stem(inputs, (32, 32, 64))
    drops = iter(drop_rates(config.drop_path, sum(blocks for _, blocks in _STAGES)))
    for stage, (filters, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = normalise(convolve(x, filters, 3, stride))
            y = normalise(convolve(y, filters, 3), relu=False, gamma="zeros")
            x = join(x, y, filters, stride, next(drops))
    return keras.Model(inputs, x, name="backbone")
