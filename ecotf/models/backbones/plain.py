"""ecotf's own backbone for few clips of any sound: plain convolutions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted


class PlainConfig(ImageBackboneConfig):
    """A first convolution with stride 2, then blocks of 3 by 3 convolutions; after each, time and frequency are halved.

    The blocks are those of PANNs (Kong et al. 2020). The stride before them leaves a quarter of the work.

    Attributes
    ----------
    stem
        Filters of the first convolution.
    filters
        Of each block.
    convolutions
        In each block.
    halvings
        How often time is halved, by the first convolution and the blocks after it; None: always. Fewer make finer
        frames, of the same weights.
    dropout
        After each block.
    """

    name: Literal["plain"] = "plain"
    stem: int = Field(16, ge=1)
    filters: tuple[int, ...] = Field((32, 64, 128), min_length=1, max_length=5)
    convolutions: int = Field(2, ge=1)
    halvings: int | None = Field(None, ge=0)
    dropout: float = Field(0.0, ge=0, lt=1)

    @property
    def smallest(self) -> tuple[int, int]:
        """Frames and bands: both are halved in the stem and in each block, time perhaps not in the last ones."""
        most = 1 + len(self.filters)
        return 2 ** (most if self.halvings is None else min(self.halvings, most)), 2**most


@BACKBONES.register(PlainConfig)
def build_plain(config: PlainConfig, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; its feature map has the last block's number of channels."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(config, shape[1], n))


def _build(config: PlainConfig, bands: int, channels: int) -> Any:
    import keras

    from ecotf.models.backbones.conv_block import conv_block, normalise

    times = 1 + len(config.filters) if config.halvings is None else config.halvings
    inputs = keras.Input((None, bands, channels))
    x = keras.layers.Conv2D(config.stem, 5, (2 if times else 1, 2), padding="same", use_bias=False, name="stem_conv")(
        inputs
    )
    x = normalise(x, "stem_bn")
    for number, filters in enumerate(config.filters, start=1):
        x = conv_block(x, filters, f"conv_block{number}", convolutions=config.convolutions, size=(1, 1))
        # What is left over at an end is a frame too: a frame of the answer is 2 ** n frames of the image, exactly.
        x = keras.layers.AveragePooling2D((2 if number < times else 1, 2), padding="same")(x)
        x = keras.layers.Dropout(config.dropout)(x) if config.dropout else x
    return keras.Model(inputs, x, name="backbone")
