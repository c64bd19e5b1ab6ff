"""Random draws for MixUp and CutMix of images ``[n, frames, bands, channels]``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ecotf.pipelines.augmentation.draws import Chance, Draws, beta, partners, whole_number


class CutMix(Chance):
    """A rectangle of another clip's image is pasted in, and labels are mixed by area.

    Attributes
    ----------
    alpha
        Both parameters of the Beta distribution that the area is drawn from.
    """

    alpha: float = Field(1.0, gt=0)


def draw_cut_mix(config: CutMix, image: Any, coin: Any, seed: Any) -> Draws:
    """``other`` int ``[n]``, and ``centre`` and ``size`` of a rectangle, int ``[n, 2]``; empty without ``coin``."""
    import tensorflow as tf

    n, frames, bands = (tf.shape(image)[axis] for axis in range(3))
    side = tf.where(coin, tf.sqrt(1.0 - beta(seed, "share", n, config.alpha)), 0.0)
    return {
        "other": partners(seed, "partners", n)[0],
        "centre": tf.stack(
            [whole_number(seed, f"centre {size}", n, size_) for size, size_ in (("t", frames), ("f", bands))], 1
        ),
        "size": tf.stack([tf.cast(side * tf.cast(length, tf.float32), tf.int32) for length in (frames, bands)], 1),
    }
