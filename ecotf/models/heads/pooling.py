"""How frames become a clip: layers that the heads are made of."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("ecotf")
class FrameSmoothing(keras.layers.Layer):
    """Maximum plus mean of each frame and its two neighbours, ``(batch, t, c)``; beyond the ends the mean sees 0."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """As the input."""
        return input_shape

    def call(self, x: Any) -> Any:
        """Smooth."""
        # by slices, since TensorFlow's average would leave out what lies beyond the ends
        zero, lowest = tf.zeros_like(x[:, :1]), tf.fill(tf.shape(x[:, :1]), x.dtype.min)
        mean = (x + tf.concat([zero, x[:, :-1]], 1) + tf.concat([x[:, 1:], zero], 1)) / 3
        neighbours = tf.maximum(tf.concat([lowest, x[:, :-1]], 1), tf.concat([x[:, 1:], lowest], 1))
        return tf.maximum(x, neighbours) + mean


@keras.saving.register_keras_serializable("ecotf")
class AttentionPooling(keras.layers.Layer):
    """One logit a class from ``[attention, logits of frames]``, both ``(batch, t, classes)``; in float32.

    The clip's probability is P = sum of softmax(tanh(attention)) over time times sigmoid(logits). Its logit is
    log P - log(1 - P), each from its own sum of logarithms, so that it stays exact where P is 0 or 1 in float32.

    Parameters
    ----------
    probabilities
        Give P itself.
    """

    def __init__(self, probabilities: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.probabilities = probabilities

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """``(batch, classes)``."""
        return input_shape[0][0], input_shape[0][2]

    def call(self, inputs: list[Any]) -> Any:
        """Pool over time."""
        attention, frames = tf.tanh(inputs[0]), inputs[1]
        if self.probabilities:
            # tanh is bounded: nothing overflows, and int8 has softmax along the last axis only
            weights = tf.exp(attention)
            return tf.reduce_sum(weights * tf.sigmoid(frames), axis=1) / tf.reduce_sum(weights, axis=1)
        weights = attention - tf.reduce_logsumexp(attention, axis=1, keepdims=True)
        return tf.reduce_logsumexp(weights + tf.math.log_sigmoid(frames), axis=1) - tf.reduce_logsumexp(
            weights + tf.math.log_sigmoid(-frames), axis=1
        )

    def get_config(self) -> dict[str, Any]:
        """Return the settings that build the layer again."""
        return {**super().get_config(), "probabilities": self.probabilities}


@keras.saving.register_keras_serializable("ecotf")
class GeneralisedMean(keras.layers.Layer):
    """(mean of x ** p over time and frequency) ** (1 / p), ``(batch, t, f, c) -> (batch, c)``; p is learned.

    Numbers below 1e-6 count as that. It works with logarithms in float32, so that no p overflows.
    """

    def __init__(self, power: float = 3.0, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.power = power

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make p."""
        self.p = self.add_weight(shape=(1,), initializer=keras.initializers.Constant(self.power), name="p")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``(batch, c)``."""
        return input_shape[0], input_shape[3]

    def call(self, x: Any) -> Any:
        """Pool over time and frequency."""
        powers = self.p * tf.math.log(tf.maximum(x, 1e-6))
        n = tf.cast(tf.shape(x)[1] * tf.shape(x)[2], tf.float32)
        return tf.exp((tf.reduce_logsumexp(powers, axis=[1, 2]) - tf.math.log(n)) / self.p)

    def get_config(self) -> dict[str, Any]:
        """Return the settings that build the layer again."""
        return {**super().get_config(), "power": self.power}
