"""ResNet-50, first version (He et al. 2016, arXiv:1512.03385), from scratch on one-channel patches."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES, BackboneConfig

# filters of the two narrow convolutions, number of blocks; the widest convolution has four times the filters
_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


class ResNet50Config(BackboneConfig):
    """ResNet-50 with L2 weight decay and batch normalisation."""

    name: Literal["resnet50"] = "resnet50"
    l2: float = Field(0.005, ge=0)
    batch_norm_momentum: float = Field(0.99, gt=0, lt=1)
    batch_norm_epsilon: float = Field(0.001, gt=0)


@BACKBONES.register(ResNet50Config)
def build_resnet50(config: ResNet50Config, shape: tuple[int, int, int]) -> Any:
    """Build the network; its embedding is the global average of the last 2048 feature maps."""
    import keras

    from ecotf.models.backbones.fused_norm import BatchNormalization

    def convolve(x: Any, filters: int, kernel: int, stride: int = 1, relu: bool = True) -> Any:
        regularizer = keras.regularizers.L2(config.l2)
        x = keras.layers.Conv2D(
            filters, kernel, stride, padding="same", kernel_initializer="he_normal", kernel_regularizer=regularizer
        )(x)
        x = BatchNormalization(momentum=config.batch_norm_momentum, epsilon=config.batch_norm_epsilon)(x)
        return keras.layers.ReLU()(x) if relu else x

    x = inputs = keras.Input(shape)
    x = convolve(x, 64, 7, stride=2)
    x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage, (filters, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            shortcut = x if block else convolve(x, 4 * filters, 1, stride, relu=False)
            y = convolve(x, filters, 1, stride)
            y = convolve(y, filters, 3)
            y = convolve(y, 4 * filters, 1, relu=False)
            x = keras.layers.ReLU()(keras.layers.Add()([y, shortcut]))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="backbone")
