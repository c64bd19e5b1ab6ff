"""The layers of relation networks: maps side by side, pooling to a grid, and the scores of pairs."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def pairs_of(maps: Any, classes: Any) -> Any:
    """Put each of ``(n, t, f, c)`` beside each of ``(k, t, f, c)``: ``(n * k, t, f, 2 c)``, the classes first."""
    k = classes.shape[0]
    shape = [-1, *maps.shape[1:]]
    first = tf.reshape(tf.repeat(classes[None], tf.shape(maps)[0], axis=0), shape)
    second = tf.reshape(tf.repeat(maps[:, None], k, axis=1), shape)
    return tf.concat([first, second], axis=-1)


class _OfClasses(keras.layers.Layer):
    def __init__(self, n_classes: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.n_classes = n_classes

    def get_config(self) -> dict[str, Any]:
        """Return the settings that build the layer again."""
        return {**super().get_config(), "n_classes": self.n_classes}


@keras.saving.register_keras_serializable("ecotf")
class BesideEachClass(_OfClasses):
    """``(batch, t, f, c) -> (batch * classes, t, f, 2 c)``; the maps are ``kernel``, ``(t, f, c, classes)``."""

    def build(self, input_shape: tuple[int | None, int, int, int]) -> None:
        """Make the maps."""
        self.kernel = self.add_weight(
            shape=(*input_shape[1:], self.n_classes), initializer="glorot_uniform", name="kernel"
        )

    def compute_output_shape(self, input_shape: tuple[int | None, int, int, int]) -> tuple[int | None, ...]:
        """As many pairs."""
        batch, t, f, c = input_shape
        return None if batch is None else batch * self.n_classes, t, f, 2 * c

    def call(self, maps: Any) -> Any:
        """Pair."""
        return pairs_of(maps, tf.transpose(self.kernel, [3, 0, 1, 2]))


@keras.saving.register_keras_serializable("ecotf")
class ScoresOfPairs(_OfClasses):
    """``(batch * classes, 1) -> (batch, classes)``."""

    def compute_output_shape(self, input_shape: tuple[int | None, int]) -> tuple[int | None, int]:
        """A row a clip."""
        return None if input_shape[0] is None else input_shape[0] // self.n_classes, self.n_classes

    def call(self, scores: Any) -> Any:
        """Sort."""
        return tf.reshape(scores, [-1, self.n_classes])


@keras.saving.register_keras_serializable("ecotf")
class AdaptiveMaxPooling(keras.layers.Layer):
    """``(batch, t, f, c) -> (batch, size, size, c)``, the greatest in each of ``size`` by ``size`` parts.

    Part i of n numbers is from floor(i n / size) to ceil((i + 1) n / size), so parts may share a row, as in PyTorch.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = size

    def compute_output_shape(self, input_shape: tuple[int | None, int, int, int]) -> tuple[int | None, ...]:
        """A square."""
        return input_shape[0], self.size, self.size, input_shape[3]

    def call(self, x: Any) -> Any:
        """Pool one axis after the other."""
        for axis in (1, 2):
            n = int(x.shape[axis])
            parts = [(i * n // self.size, -(-(i + 1) * n // self.size)) for i in range(self.size)]
            cut = [x[:, a:b] if axis == 1 else x[:, :, a:b] for a, b in parts]
            x = tf.concat([tf.reduce_max(part, axis=axis, keepdims=True) for part in cut], axis=axis)
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the settings that build the layer again."""
        return {**super().get_config(), "size": self.size}
