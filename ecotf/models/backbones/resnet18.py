"""ResNet-18 (He et al., CVPR 2016, arXiv:1512.03385), as torchvision has it."""

from __future__ import annotations

from typing import Any, Literal

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.residual import convolve, normalise
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted

_STAGES = (64, 128, 256, 512)  # filters; two blocks each


class ResNet18Config(ImageBackboneConfig):
    """ResNet-18 without its classifier: 11,176,512 parameters on three channels."""

    name: Literal["resnet18"] = "resnet18"


@BACKBONES.register(ResNet18Config)
def build_resnet18(config: ResNet18Config, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(shape[1], n))


def _build(bands: int, channels: int) -> Any:
    import keras

    inputs = keras.Input((None, bands, channels))
    x = normalise(convolve(inputs, 64, 7, 2))
    # after a ReLU, zeros around are as good as minus infinity
    x = keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(x))
    for stage, filters in enumerate(_STAGES):
        for block in range(2):
            stride = 2 if stage and not block else 1
            y = normalise(convolve(x, filters, 3, stride))
            y = normalise(convolve(y, filters, 3), relu=False)
            if stride > 1:
                x = normalise(convolve(x, filters, 1, stride), relu=False)
            x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    return keras.Model(inputs, x, name="backbone")
