"""The image of a clip as a Keras layer: the numbers of `make_image`, computed in the graph."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from ecotf.errors import ConfigError
from ecotf.features.image import ImageConfig, delta_weights


@keras.saving.register_keras_serializable("ecotf")
class ImageLayer(keras.layers.Layer):
    """Levels in decibels to images, [batch, frames, bands] to [batch, frames, bands, channels], as `make_image`.

    Any number of frames; every step has an operation in TFLite. It works in float32 whatever the policy.

    Parameters
    ----------
    config
        The config, or its values as a dict.
    """

    def __init__(self, config: ImageConfig | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.image_config = ImageConfig.model_validate(config)
        if self.image_config.only_on_host:
            raise ConfigError(
                f"{self.image_config.only_on_host}: such images (medians, resizing) are made on a computer only, not "
                "in a graph or on a device; to export, train with plain levels"
            )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """[batch, frames, bands, channels]."""
        return *input_shape, self.image_config.channels

    def call(self, levels: Any) -> Any:
        """Make the images of ``levels``, [batch, frames, bands]."""
        config = self.image_config
        if config.top_db is not None:
            levels = tf.maximum(levels, tf.reduce_max(levels, axis=[1, 2], keepdims=True) - config.top_db)
        image = (levels + config.offset) / config.scale
        if config.channels == 1:
            return image[..., None]
        first = self._delta(image, 1)
        second = self._delta(image, 2) if config.delta_form == "polynomial" else self._delta(first, 1)
        return tf.stack([image, first, second], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the settings that build the layer again."""
        return {**super().get_config(), "config": self.image_config.model_dump()}

    def _delta(self, image: Any, order: int) -> Any:
        config = self.image_config
        if config.delta_form == "polynomial":
            return self._longer(self._weighted_sum(image, order))
        return self._weighted_sum(self._longer(image), order)

    def _longer(self, values: Any) -> Any:
        """With the first and the last repeated as often as half the width."""
        half = self.image_config.delta_width // 2
        if self.image_config.delta_axis == "time":
            return tf.concat([values[:, :1]] * half + [values] + [values[:, -1:]] * half, axis=1)
        return tf.concat([values[..., :1]] * half + [values] + [values[..., -1:]] * half, axis=2)

    def _weighted_sum(self, values: Any, order: int) -> Any:
        weights = delta_weights(self.image_config.delta_width, order)
        axis = 1 if self.image_config.delta_axis == "time" else 2
        n = tf.shape(values)[axis] - len(weights) + 1
        parts = [values[:, i : i + n] if axis == 1 else values[..., i : i + n] for i in range(len(weights))]
        return tf.add_n([weight * part for weight, part in zip(weights, parts, strict=True)])
