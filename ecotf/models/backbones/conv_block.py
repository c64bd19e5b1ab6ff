"""The blocks that the networks of PANNs are made of (Kong et al., IEEE/ACM TASLP 2020), for images of a clip.

Layers are called as the tensors of the published checkpoints are, with ``_`` for ``.``, so that
`ecotf.models.published` finds each layer's weights.
"""

from __future__ import annotations

from typing import Any


def wide(filters: int, width: float) -> int:
    """Return the number of filters of a network that is ``width`` times as wide; at least 1."""
    return max(1, round(filters * width))


def convolve(x: Any, filters: int, kernel: int, name: str) -> Any:
    """Convolve an image with zeros around it, without bias."""
    import keras

    return keras.layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=name)(x)


def normalise(x: Any, name: str, relu: bool = True, gamma: str = "ones") -> Any:
    """Normalise a batch as PyTorch does by default, and take the positive part."""
    import keras

    from ecotf.models.backbones.fused_norm import FusedBatchNormalization

    x = FusedBatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=name)(x)
    return keras.layers.ReLU()(x) if relu else x


def pool(x: Any, size: tuple[int, int] = (2, 2)) -> Any:
    """Average over ``size`` frames and bands; what is left over at the end is not looked at."""
    import keras

    return x if size == (1, 1) else keras.layers.AveragePooling2D(size)(x)


def conv_block(
    x: Any, filters: int, name: str, *, kernel: int = 3, convolutions: int = 2, size: tuple[int, int] = (2, 2)
) -> Any:
    """Convolve, normalise and take the positive part, ``convolutions`` times; then average over ``size``."""
    for i in range(1, convolutions + 1):
        x = normalise(convolve(x, filters, kernel, f"{name}_conv{i}"), f"{name}_bn{i}")
    return pool(x, size)
