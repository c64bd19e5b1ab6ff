"""Blank out frames and bands inside a network while it trains (SpecAugment: Park et al., Interspeech 2019)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from ecotf.pipelines.augment_image import AugmentImageConfig, augment_image


@keras.saving.register_keras_serializable("ecotf")
class Masking(keras.layers.Layer):
    """Blank out parts of ``(batch, frames, bands, channels)`` in training, as ``masks`` says; else change nothing.

    Attributes
    ----------
    masks
        ``time_mask`` and ``frequency_mask`` of it are applied. None: nothing is blanked out. A training step that was
        compiled before does not know of a change.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.masks: AugmentImageConfig | None = None
        self.seeds = keras.random.SeedGenerator()

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """As the input."""
        return input_shape

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Blank out, or hand on."""
        if not training or self.masks is None:
            return x
        no_labels = tf.zeros([tf.shape(x)[0], 1])
        return augment_image(x, no_labels, self.masks, tf.cast(self.seeds.next(), tf.int32))[0]
