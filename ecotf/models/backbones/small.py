"""ecotf's own backbone for a laptop and a recorder: inverted residuals that know which band they look at."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.residual import drop_rates
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted


class SmallConfig(ImageBackboneConfig):
    """Inverted residuals with depthwise convolutions (Sandler et al., CVPR 2018), of operations that int8 keeps.

    Three things differ from a network for photographs. A note means another species when it is higher, so every band
    has a learned bias after the stem. Calls are short, so time is halved four times, not five. Recordings are few, so
    running averages follow quickly and the last layers are narrow.

    Attributes
    ----------
    stem
        Filters of the first convolution.
    filters, blocks
        Of each stage; the first three halve time and frequency, the others frequency alone.
    halvings
        How often time is halved, by the first convolution and the stages after it: 4 makes frames of 16 steps of the
        spectrogram, 2 of 4, 0 a frame of each.
    expand
        How much wider a block is inside.
    features
        Channels of the feature map.
    activation
        ``relu6`` is kept by int8 at no cost; ``hard_swish`` may be better in float.
    squeeze
        0, or the divisor of squeeze and excitation in the last two stages; it makes every frame depend on the clip's
        length.
    band_bias
        Whether every band has its own bias.
    """

    name: Literal["small"] = "small"
    stem: int = Field(16, ge=1)
    filters: tuple[int, ...] = Field((24, 40, 80, 128), min_length=3, max_length=5)
    blocks: tuple[int, ...] = (2, 3, 3, 2)
    halvings: int = Field(4, ge=0, le=4)
    expand: int = Field(4, ge=1)
    features: int = Field(384, ge=1)
    activation: Literal["relu6", "relu", "hard_swish"] = "relu6"
    squeeze: int = Field(0, ge=0)
    band_bias: bool = True
    drop_path: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _as_many_blocks_as_filters(self) -> SmallConfig:
        if len(self.blocks) != len(self.filters) or min(self.blocks) < 1:
            raise ValueError(f"blocks = {self.blocks}: allowed is one number from 1 on for each of {self.filters}")
        return self


@BACKBONES.register(SmallConfig)
def build_small(config: SmallConfig, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time is halved as often as the config says, frequency once and once more for each stage."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(config, shape[1], n))


def _build(config: SmallConfig, bands: int, channels: int) -> Any:
    import keras

    from ecotf.models.backbones.band_bias import BandBias
    from ecotf.models.backbones.fused_norm import BatchNormalization

    def normalise(x: Any, active: bool = True) -> Any:
        x = BatchNormalization(momentum=0.9)(x)
        return keras.layers.Activation(config.activation)(x) if active else x

    def block(x: Any, filters: int, strides: tuple[int, int], squeeze: int, drop: float) -> Any:
        inside = config.expand * x.shape[-1]
        y = normalise(keras.layers.Conv2D(inside, 1, use_bias=False)(x))
        y = normalise(_depthwise(y, strides))
        if squeeze:
            share = keras.layers.GlobalAveragePooling2D(keepdims=True)(y)
            share = keras.layers.Conv2D(max(8, inside // squeeze), 1, activation="relu")(share)
            y = keras.layers.Multiply()([y, keras.layers.Conv2D(inside, 1, activation="hard_sigmoid")(share)])
        y = normalise(keras.layers.Conv2D(filters, 1, use_bias=False)(y), active=False)
        if x.shape[-1] != filters or strides != (1, 1):
            return y
        y = keras.layers.Dropout(drop, noise_shape=(None, 1, 1, 1))(y) if drop else y
        return keras.layers.Add()([x, y])

    inputs = keras.Input((None, bands, channels))
    first = (2 if config.halvings else 1, 2)
    x = keras.layers.Conv2D(config.stem, 3, first, padding="same", use_bias=False)(inputs)
    x = BatchNormalization(momentum=0.9)(x)
    x = BandBias()(x) if config.band_bias else x
    x = keras.layers.Activation(config.activation)(x)
    drops = iter(drop_rates(config.drop_path, sum(config.blocks)))
    for stage, (filters, blocks) in enumerate(zip(config.filters, config.blocks, strict=True)):
        squeeze = config.squeeze if stage >= len(config.filters) - 2 else 0
        for i in range(blocks):
            strides = (1, 1) if i else (2 if stage < config.halvings - 1 else 1, 2)
            x = block(x, filters, strides, squeeze, next(drops))
    x = normalise(keras.layers.Conv2D(config.features, 1, use_bias=False)(x))
    return keras.Model(inputs, x, name="backbone")


def _depthwise(x: Any, strides: tuple[int, int]) -> Any:
    """Depthwise 3 by 3; TensorFlow's has one stride for both axes, so the other one is skipped after it."""
    import keras

    if strides[0] == strides[1]:
        return keras.layers.DepthwiseConv2D(3, strides[0], padding="same", use_bias=False)(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    return keras.layers.MaxPooling2D(strides, padding="same")(x)
