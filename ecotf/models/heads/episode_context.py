"""The encoders of matching networks, as a layer that lets everything through outside of episodes."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("ecotf")
class EpisodeContext(keras.layers.Layer):
    """Sees the examples of an episode in the context of each other, and queries in that of the examples.

    As a layer of a network it gives its input, ``(batch, e)``. Its weights are of the two encoders; they are trainable
    while a stage trains by episodes.

    Parameters
    ----------
    encodes
        Whether there are encoders.
    """

    lets_through = True
    """Its encoders act in episodes alone, so they are in no exported graph."""

    def __init__(self, encodes: bool = True, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.encodes = encodes

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Make the encoders."""
        if not self.encodes:
            return
        size = input_shape[-1]
        lstm = keras.layers.LSTM(size, return_sequences=True, dtype="float32")
        self.support_encoder = keras.layers.Bidirectional(lstm, merge_mode="sum", dtype="float32")
        self.support_encoder.build((1, None, size))
        self.query_cell = keras.layers.LSTMCell(size, dtype="float32")
        self.query_cell.build((None, 2 * size))
        # Keras asks each variable, and does nothing where a layer is told what it is already.
        self.support_encoder.trainable = self.query_cell.trainable = self.trainable

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """As the input."""
        return input_shape

    def call(self, x: Any) -> Any:
        """Give the input."""
        return x

    def of_support(self, examples: Any) -> Any:
        """Add to each example ``(n, e)`` what both directions of the LSTM say of it."""
        return examples + self.support_encoder(examples[None])[0]

    def of_queries(self, queries: Any, examples: Any) -> Any:
        """Read the encoded examples ``(n, e)`` once for each of them, with attention; queries ``(q, e)``."""

        def read(step: Any, hidden: Any, carry: Any) -> tuple[Any, Any, Any]:
            attention = tf.nn.softmax(tf.matmul(hidden, examples, transpose_b=True))
            seen = tf.concat([queries, tf.matmul(attention, examples)], axis=-1)
            _, (hidden, carry) = self.query_cell(seen, [hidden, carry])
            return step + 1, hidden + queries, carry

        start = tf.constant(0), queries, tf.zeros_like(queries)
        steps = tf.shape(examples)[0]
        return tf.while_loop(lambda step, *_: step < steps, read, start)[1]

    def get_config(self) -> dict[str, Any]:
        """Return the settings that build the layer again."""
        return {**super().get_config(), "encodes": self.encodes}
