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
    return build_weighted(config.name, config.weights, shape[2], lambda n: plain_resnet18(shape[1], n))


def plain_resnet18(bands: int, channels: int) -> Any:
    """Build it with random weights; its layers have torchvision's names, with ``_`` for ``.``."""
    import keras

    inputs = keras.Input((None, bands, channels))
    x = normalise(convolve(inputs, 64, 7, 2, name="conv1"), name="bn1")
    # after a ReLU, zeros around are as good as minus infinity
    x = keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(x))
    for stage, filters in enumerate(_STAGES):
        for block in range(2):
            stride, name = 2 if stage and not block else 1, f"layer{stage + 1}_{block}"
            y = normalise(convolve(x, filters, 3, stride, name=f"{name}_conv1"), name=f"{name}_bn1")
            y = normalise(convolve(y, filters, 3, name=f"{name}_conv2"), relu=False, name=f"{name}_bn2")
            if stride > 1:
                x = convolve(x, filters, 1, stride, name=f"{name}_downsample_0")
                x = normalise(x, relu=False, name=f"{name}_downsample_1")
            x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    return keras.Model(inputs, x, name="backbone")
