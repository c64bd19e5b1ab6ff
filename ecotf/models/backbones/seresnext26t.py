"""SE-ResNeXt-26-T 32x4d; ``seresnext26t_32x4d`` in timm.

Tiered stem, grouped convolutions (Xie et al., CVPR 2017), squeeze and excitation (Hu et al., CVPR 2018), average
pooling in the shortcuts.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.residual import convolve, deep_stem, drop_rates, join, normalise
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted

_STAGES = ((128, 2), (256, 2), (512, 2), (1024, 2))  # filters of the grouped convolution, blocks
_GROUPS = 32
_SQUEEZE = 16


class SeResNext26tConfig(ImageBackboneConfig):
    """SE-ResNeXt-26-T without its classifier.

    Attributes
    ----------
    drop_path
        Probability that the last block is dropped in training; it rises evenly from 0 for the first.
    """

    name: Literal["seresnext26t"] = "seresnext26t"
    drop_path: float = Field(0.2, ge=0, lt=1)


@BACKBONES.register(SeResNext26tConfig)
def build_seresnext26t(config: SeResNext26tConfig, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(config, shape[1], n))


def _build(config: SeResNext26tConfig, bands: int, channels: int) -> Any:
    import keras

    inputs = keras.Input((None, bands, channels))
    x = deep_stem(inputs, (24, 32, 64))
    drops = iter(drop_rates(config.drop_path, sum(blocks for _, blocks in _STAGES)))
    for stage, (filters, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = normalise(convolve(x, filters, 1))
            y = normalise(convolve(y, filters, 3, stride, groups=_GROUPS))
            y = normalise(convolve(y, 2 * filters, 1), relu=False, gamma="zeros")
            x = join(x, _excited(y), 2 * filters, stride, next(drops))
    return keras.Model(inputs, x, name="backbone")


def _excited(x: Any) -> Any:
    """Every channel times a share that the means of all channels decide."""
    import keras

    share = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    share = keras.layers.Conv2D(x.shape[-1] // _SQUEEZE, 1, activation="relu")(share)
    share = keras.layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(share)
    return keras.layers.Multiply()([x, share])
