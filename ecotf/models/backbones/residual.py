"""Pieces of the residual networks "D" (He et al., CVPR 2019, arXiv:1812.01187), padded and normalised as in timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def convolve(x: Any, filters: int, kernel: int, stride: int = 1, groups: int = 1, name: str | None = None) -> Any:
    """Convolution without bias; zeros around it on both sides, so that odd and even sizes are treated alike."""
    import keras

    from ecotf.models.backbones.grouped import GroupedConv2D

    if kernel > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2)(x)
    initializer = keras.initializers.VarianceScaling(2.0, "fan_out")
    options: dict[str, Any] = {"use_bias": False, "kernel_initializer": initializer}
    if groups > 1:
        return GroupedConv2D(filters, kernel, stride, groups=groups, **options)(x)
    strides = (stride, stride)
    unread = x.shape[2] - kernel
    if 0 <= unread < stride and stride > 1 and keras.config.dtype_policy().compute_dtype == "bfloat16":
        # One column comes out, so a stride over columns does nothing. With it, oneDNN (TensorFlow 2.16, on processors
        # with AMX) multiplies memory that nobody wrote, and the answers are wrong or not numbers, now and then.
        x = keras.layers.Cropping2D(((0, 0), (0, unread)))(x) if unread else x
        strides = (stride, 1)
    return keras.layers.Conv2D(filters, kernel, strides, name=name, **options)(x)


def normalise(x: Any, relu: bool = True, gamma: str = "ones", name: str | None = None) -> Any:
    """Batch normalisation with the customs of PyTorch, and a ReLU."""
    import keras

    from ecotf.models.backbones.fused_norm import BatchNormalization

    x = BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=name)(x)
    return keras.layers.ReLU()(x) if relu else x


def deep_stem(x: Any, filters: Sequence[int]) -> Any:
    """Three convolutions of 3 by 3, the first with stride 2, and a pooling by 2: the image is a quarter as wide."""
    import keras

    for layer, n in enumerate(filters):
        x = normalise(convolve(x, n, 3, 1 if layer else 2))
    # after a ReLU, zeros around are as good as minus infinity
    return keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(x))


def join(x: Any, branch: Any, filters: int, stride: int, drop: float) -> Any:
    """ReLU of the shortcut and the branch; where they differ in shape, the shortcut is averaged and convolved.

    ``drop`` is the probability that a clip goes without the branch in training (Huang et al., ECCV 2016).
    """
    import keras

    if stride > 1:
        x = keras.layers.AveragePooling2D(stride, padding="same")(x)
    if x.shape[-1] != filters:
        x = normalise(convolve(x, filters, 1), relu=False)
    if drop:
        branch = keras.layers.Dropout(drop, noise_shape=(None, 1, 1, 1))(branch)
    return keras.layers.ReLU()(keras.layers.Add()([x, branch]))


def drop_rates(greatest: float, blocks: int) -> list[float]:
    """From 0 for the first block to ``greatest`` for the last."""
    return [greatest * i / (blocks - 1) for i in range(blocks)]
