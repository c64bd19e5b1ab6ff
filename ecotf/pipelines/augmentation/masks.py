"""Masks and attenuation on images ``[n, frames, bands, channels]``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.pipelines.augmentation.draws import Chance, Draws, uniform, whole_number

MaskValue = Literal["zero", "minimum"]


class Mask(Chance):
    """Stretches of frames or of bands are blanked out in all channels (Park et al., Interspeech 2019).

    Attributes
    ----------
    count
        How many stretches; they may overlap. PANNs are published with 2 of up to 64 frames and 2 of up to 8 bands.
    width
        The most that one of them may blank out, in frames or bands.
    value
        What stands there: 0, as published, or the clip's ``minimum``.
    """

    count: int = Field(1, ge=1)
    width: int = Field(24, ge=1)
    value: MaskValue = "zero"


class Attenuation(Chance):
    """Bands are attenuated the more the farther they are towards one end.

    As published for 2021 and 2023 (``upper``): the image is multiplied by 1 at the lowest band, evenly less up to band
    r, which is at least the middle one, and by 1 - most beyond.

    Attributes
    ----------
    most
        The most that is taken away, a share.
    side
        Which end is attenuated.
    """

    most: float = Field(0.5, gt=0, le=1)
    side: Literal["upper", "lower", "either"] = "upper"


def draw_mask(config: Mask, image: Any, axis: int, seed: Any) -> Draws:
    """``width`` int ``[n]``, up to the config's and at most all of ``axis``, and the ``first`` one, int ``[n]``."""
    import tensorflow as tf

    n, size = tf.shape(image)[0], tf.shape(image)[axis]
    width = whole_number(seed, "width", n, tf.minimum(config.width, size) + 1)
    return {"width": width, "first": whole_number(seed, "first", n, size - width + 1)}


def apply_mask(image: Any, draws: Draws, axis: int, value: MaskValue = "zero") -> Any:
    """Places ``first`` to ``first + width - 1`` of ``axis`` (1 frames, 2 bands) become 0, or the clip's minimum."""
    import tensorflow as tf

    place = tf.range(tf.shape(image)[axis])[None, :]
    first = draws["first"][:, None]
    gone = (place >= first) & (place < first + draws["width"][:, None])
    gone = gone[:, :, None, None] if axis == 1 else gone[:, None, :, None]
    blank = 0.0 if value == "zero" else tf.reduce_min(image, axis=[1, 2], keepdims=True)
    return tf.where(gone, blank, image)


def draw_attenuation(config: Attenuation, image: Any, seed: Any) -> Draws:
    """``bands`` int ``[n]`` that the attenuation grows over, how ``much`` ``[n]``, and ``lower`` bool ``[n]``."""
    import tensorflow as tf

    n, bands = tf.shape(image)[0], tf.shape(image)[2]
    lower = uniform(seed, "side", n) < {"upper": 0.0, "lower": 1.0, "either": 0.5}[config.side]
    return {
        "bands": bands // 2 + whole_number(seed, "bands", n, tf.maximum(bands - bands // 2, 1)),
        "much": uniform(seed, "much", n, 0.0, config.most),
        "lower": lower,
    }


def apply_attenuation(image: Any, draws: Draws) -> Any:
    """Band b is multiplied by 1 - much * min(1, b / bands); counted from the highest band where ``lower``."""
    import tensorflow as tf

    bands = tf.shape(image)[2]
    upwards = tf.range(bands)[None, :]
    distance = tf.where(draws["lower"][:, None], bands - 1 - upwards, upwards)
    part = tf.minimum(tf.cast(distance, tf.float32) / tf.cast(tf.maximum(draws["bands"], 1), tf.float32)[:, None], 1.0)
    return image * (1 - draws["much"][:, None] * part)[:, None, :, None]
