"""Parts of a clip that go through a backbone one by one, as more clips of a batch."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class _Parts(keras.layers.Layer):
    def __init__(self, parts: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts

    def get_config(self) -> dict[str, Any]:
        """Return the settings that build the layer again."""
        return {**super().get_config(), "parts": self.parts}


@keras.saving.register_keras_serializable("ecotf")
class SplitParts(_Parts):
    """``(batch, frames, bands, channels) -> (batch * parts, frames // parts, bands, channels)``."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Cut the sounds; the batch becomes ``parts`` times as long."""
        batch, frames, *rest = input_shape
        return _times(batch, self.parts), None if frames is None else frames // self.parts, *rest

    def call(self, x: Any) -> Any:
        """Cut; a rest at the end is left out."""
        frames = x.shape[1] if x.shape[1] is not None else tf.shape(x)[1]
        n = frames // self.parts
        return tf.reshape(x[:, : n * self.parts], [-1, n, *x.shape[2:]])


@keras.saving.register_keras_serializable("ecotf")
class JoinParts(_Parts):
    """``(batch * parts, t, f, c) -> (batch, parts * t, f, c)``."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Join the parts; the batch is as long as before the cut."""
        batch, t, *rest = input_shape
        return None if batch is None else batch // self.parts, _times(t, self.parts), *rest

    def call(self, x: Any) -> Any:
        """Put the frames of a clip's parts one after another."""
        t = x.shape[1] if x.shape[1] is not None else tf.shape(x)[1]
        return tf.reshape(x, [-1, self.parts * t, *x.shape[2:]])


def _times(n: int | None, factor: int) -> int | None:
    return None if n is None else n * factor
