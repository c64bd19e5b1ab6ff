"""MobileNetV3-Large of any width for log-mel images (Schmid, Koutini and Widmer, ICASSP 2023, arXiv:2211.04772).

The layers, and the zeros around them, are those of the published models, so that their weights fit. The network of
keras.applications (``mobilenet_v3_large``) is another one: it pads on one side, and its squeeze ends in a hard sigmoid.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted


class MnConfig(ImageBackboneConfig):
    """The convolutions of MobileNetV3-Large (Howard et al., ICCV 2019), without its classifier.

    Attributes
    ----------
    width
        Factor on the channels of every layer, which are then rounded to multiples of 8. ``mn04`` is 0.4.
    """

    name: Literal["mn"] = "mn"
    width: float = Field(1.0, gt=0, le=4)


class Block(NamedTuple):
    """One inverted residual, for width 1."""

    kernel: int
    inside: int
    filters: int
    squeeze: bool
    activation: Literal["relu", "hard_swish"]
    stride: int


BLOCKS = (
    Block(3, 16, 16, False, "relu", 1),
    Block(3, 64, 24, False, "relu", 2),
    Block(3, 72, 24, False, "relu", 1),
    Block(5, 72, 40, True, "relu", 2),
    Block(5, 120, 40, True, "relu", 1),
    Block(5, 120, 40, True, "relu", 1),
    Block(3, 240, 80, False, "hard_swish", 2),
    Block(3, 200, 80, False, "hard_swish", 1),
    Block(3, 184, 80, False, "hard_swish", 1),
    Block(3, 184, 80, False, "hard_swish", 1),
    Block(3, 480, 112, True, "hard_swish", 1),
    Block(3, 672, 112, True, "hard_swish", 1),
    Block(5, 672, 160, True, "hard_swish", 2),
    Block(5, 960, 160, True, "hard_swish", 1),
    Block(5, 960, 160, True, "hard_swish", 1),
)
_STEM, _LAST, _SQUEEZE = 16, 6, 4


def rounded(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and at least nine tenths of ``channels``.

    Examples
    --------
    >>> rounded(0.4 * 40), rounded(0.4 * 112)
    (16, 48)
    """
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


@BACKBONES.register(MnConfig)
def build_mn(config: MnConfig, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(config.width, shape[1], n))


def _build(width: float, bands: int, channels: int) -> Any:
    import keras

    inputs = keras.Input((None, bands, channels))
    x = _convolve(inputs, rounded(_STEM * width), 3, 2, "hard_swish", "stem")
    for number, block in enumerate(BLOCKS, 1):
        x = _residual(x, block, width, f"block{number}")
    x = _convolve(x, _LAST * x.shape[-1], 1, 1, "hard_swish", "last")
    return keras.Model(inputs, x, name="backbone")


def _residual(x: Any, block: Block, width: float, name: str) -> Any:
    import keras

    inside, filters = rounded(block.inside * width), rounded(block.filters * width)
    y = x
    if inside != x.shape[-1]:
        y = _convolve(y, inside, 1, 1, block.activation, f"{name}_expand")
    y = _padded(y, block.kernel, block.stride)
    # of each channel by itself, but drawn as published: as if it were summed over all of them
    y = keras.layers.DepthwiseConv2D(
        block.kernel, block.stride, padding="same" if block.stride == 1 else "valid", use_bias=False,
        depthwise_initializer=_he("fan_in"), name=f"{name}_depthwise",
    )(y)  # fmt: skip
    y = _normalise(y, block.activation, f"{name}_depthwise")
    if block.squeeze:
        y = _squeeze(y, f"{name}_squeeze")
    y = _convolve(y, filters, 1, 1, None, f"{name}_project")
    return keras.layers.Add()([x, y]) if block.stride == 1 and filters == x.shape[-1] else y


def _squeeze(x: Any, name: str) -> Any:
    """Every channel times a share that the means of all channels decide (Hu et al., CVPR 2018)."""
    import keras

    weights = keras.initializers.RandomNormal(stddev=0.01)
    share = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    share = keras.layers.Conv2D(
        rounded(x.shape[-1] // _SQUEEZE), 1, activation="relu", kernel_initializer=weights, name=f"{name}_down"
    )(share)
    share = keras.layers.Conv2D(
        x.shape[-1], 1, activation="sigmoid", kernel_initializer=weights, name=f"{name}_up"
    )(share)  # fmt: skip
    return keras.layers.Multiply(name=name)([x, share])


def _convolve(x: Any, filters: int, kernel: int, stride: int, activation: str | None, name: str) -> Any:
    import keras

    x = keras.layers.Conv2D(
        filters, kernel, stride, padding="same" if stride == 1 else "valid", use_bias=False,
        kernel_initializer=_he("fan_out"), name=name,
    )(_padded(x, kernel, stride))  # fmt: skip
    return _normalise(x, activation, name)


def _padded(x: Any, kernel: int, stride: int) -> Any:
    """Zeros on both sides before a stride; without one, TensorFlow's own padding is the same, and needs no copy."""
    import keras

    return x if stride == 1 else keras.layers.ZeroPadding2D(kernel // 2)(x)


def _normalise(x: Any, activation: str | None, name: str) -> Any:
    import keras

    from ecotf.models.backbones.fused_norm import BatchNormalization

    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_norm")(x)
    return x if activation is None else keras.layers.Activation(activation, name=f"{name}_active")(x)


def _he(mode: str) -> Any:
    import keras

    return keras.initializers.VarianceScaling(2.0, mode, "untruncated_normal")
