"""Changes of the levels of images ``[n, frames, bands, channels]``: contrast, and bands that are moved."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ecotf.pipelines.augmentation.draws import Chance, Draws, uniform, whole_number


class Compander(Chance):
    """Levels come closer to the clip's mean, or go farther from it: near and far, loud and compressed recordings.

    Published for few-shot detection (Moummad et al., ICASSP 2024) with a probability of .75.

    Attributes
    ----------
    most
        Distances from the mean are multiplied by 1 - ``most`` to 1 + ``most``.
    """

    most: float = Field(0.3, gt=0, lt=1)


class BandShift(Chance):
    """All bands move up or down; those at the end are repeated: a voice a little higher or lower.

    Attributes
    ----------
    most
        The most bands. Published for few-shot detection: 10 of 128.
    """

    most: int = Field(4, ge=1)


def draw_compander(config: Compander, image: Any, seed: Any) -> Draws:
    """``factor`` float32 ``[n]``."""
    import tensorflow as tf

    return {"factor": uniform(seed, "factor", tf.shape(image)[0], 1 - config.most, 1 + config.most)}


def apply_compander(image: Any, draws: Draws) -> Any:
    """Multiply what differs from the mean of a clip's channel by ``factor``."""
    import tensorflow as tf

    mean = tf.reduce_mean(image, axis=[1, 2], keepdims=True)
    return mean + draws["factor"][:, None, None, None] * (image - mean)


def draw_band_shift(config: BandShift, image: Any, seed: Any) -> Draws:
    """``bands`` int ``[n]``, up to ``most`` to either side."""
    import tensorflow as tf

    return {"bands": whole_number(seed, "bands", tf.shape(image)[0], 2 * config.most + 1) - config.most}


def apply_band_shift(image: Any, draws: Draws) -> Any:
    """Band b of the result is band b - ``bands``, or the first or last one."""
    import tensorflow as tf

    size = tf.shape(image)[2]
    source = tf.clip_by_value(tf.range(size)[None, :] - draws["bands"][:, None], 0, size - 1)
    turned = tf.gather(tf.transpose(image, [0, 2, 1, 3]), source, axis=1, batch_dims=1)
    return tf.transpose(turned, [0, 2, 1, 3])
