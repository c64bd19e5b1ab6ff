"""Convolution in groups that a processor can train."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("ecotf")
class GroupedConv2D(keras.layers.Conv2D):
    """Keras's grouped convolution with the same weights, computed as one convolution a group.

    TensorFlow has no gradient of the grouped operation on a processor; Keras compiles it with XLA there, which takes
    some hundred times longer (6.7 s instead of 0.04 s for a step of a 3 by 3 layer of 128 filters in 32 groups).
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve each group of channels with its own filters."""
        parts = zip(tf.split(inputs, self.groups, axis=-1), tf.split(kernel, self.groups, axis=-1), strict=True)
        stride = list(self.strides)
        return tf.concat([tf.nn.conv2d(x, k, stride, self.padding.upper()) for x, k in parts], axis=-1)
