"""ResNet38 of PANNs (Kong et al., IEEE/ACM TASLP 2020): basic blocks between two blocks of CNN14."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.conv_block import conv_block, convolve, normalise, pool, wide
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted

_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # filters, blocks
_FIRST, _LAST = 64, 2048


class Resnet38Config(ImageBackboneConfig):
    """A residual network that halves time and frequency by averaging, without strides.

    With 527 classes and the head ``panns`` it has 73,783,247 numbers to learn.

    Attributes
    ----------
    width
        Factor on all numbers of filters; 1 as published.
    dropout
        After the first block, after the residual ones and after the last.
    inner_dropout
        Between the two convolutions of a residual block.
    """

    name: Literal["resnet38"] = "resnet38"
    width: float = Field(1.0, gt=0, le=4)
    dropout: float = Field(0.2, ge=0, lt=1)
    inner_dropout: float = Field(0.1, ge=0, lt=1)


@BACKBONES.register(Resnet38Config)
def build_resnet38(config: Resnet38Config, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times, the feature map has 2048 x ``width`` channels."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(config, shape[1], n))


def _build(config: Resnet38Config, bands: int, channels: int) -> Any:
    import keras

    def drop(x: Any) -> Any:
        return keras.layers.Dropout(config.dropout)(x)

    inputs = keras.Input((None, bands, channels))
    x = drop(conv_block(inputs, wide(_FIRST, config.width), "conv_block1"))
    for stage, (filters, blocks) in enumerate(_STAGES, start=1):
        for block in range(blocks):
            name = f"resnet_layer{stage}_{block}"
            x = _basic_block(x, wide(filters, config.width), name, stage > 1 and block == 0, config.inner_dropout)
    x = conv_block(drop(pool(x)), wide(_LAST, config.width), "conv_block_after1", size=(1, 1))
    return keras.Model(inputs, drop(x), name="backbone")


def _basic_block(x: Any, filters: int, name: str, halves: bool, dropout: float) -> Any:
    """Two convolutions beside a shortcut; where the block halves, both see averages, and the shortcut is convolved."""
    import keras

    if halves:
        x = pool(x)
    y = normalise(convolve(x, filters, 3, f"{name}_conv1"), f"{name}_bn1")
    y = convolve(keras.layers.Dropout(dropout)(y), filters, 3, f"{name}_conv2")
    y = normalise(y, f"{name}_bn2", relu=False, gamma="zeros")
    if halves:
        x = normalise(convolve(x, filters, 1, f"{name}_downsample_1"), f"{name}_downsample_2", relu=False)
    return keras.layers.ReLU()(keras.layers.Add()([y, x]))
