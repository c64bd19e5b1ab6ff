"""Give a convolution the frequency of each band."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("ecotf")
class BandBias(keras.layers.Layer):
    """Add a learned number to every band of every channel, ``(batch, t, f, c) -> (batch, t, f, c)``."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the biases, zero to begin with."""
        self.bias = self.add_weight(shape=(1, 1, *input_shape[2:]), initializer="zeros", name="bias")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """As the input."""
        return input_shape

    def call(self, x: Any) -> Any:
        """Add the biases."""
        return x + keras.ops.cast(self.bias, x.dtype)
