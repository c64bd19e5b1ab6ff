"""Mixing the clips of a batch with each other: sound, targets and weights."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ecotf.pipelines.augmentation.draws import Chance, Draws, beta, partners, uniform


class SumMixup(Chance):
    """Clips are added up, and have the labels of all, as published for the waveforms.

    Attributes
    ----------
    double
        How often a clip gets one other; else it gets two.
    """

    double: float = Field(0.5, ge=0, le=1)


class BetaMixup(Chance):
    """Two clips are mixed in shares that are drawn, and so are their labels (Zhang et al., ICLR 2018).

    Attributes
    ----------
    alpha
        Both parameters of the Beta distribution: below 1 one clip prevails, 1 is uniform, above 1 they are alike.
    """

    alpha: float = Field(2.0, gt=0)


def draw_sum_mixup(config: SumMixup, n: Any, seed: Any) -> Draws:
    """``other`` and ``third`` int ``[n]``, and ``triple`` bool ``[n]``."""
    other, third = partners(seed, "partners", n)
    return {"other": other, "third": third, "triple": uniform(seed, "triple", n) >= config.double}


def apply_sum_mixup(sound: Any, targets: Any, weight: Any, coin: Any, draws: Draws) -> tuple[Any, Any, Any]:
    """Where ``coin``: sounds are added, targets added up to 1 at most, and the weight is the mean."""
    import tensorflow as tf

    one = tf.cast(coin, tf.float32)
    two = one * tf.cast(draws["triple"], tf.float32)

    def added(values: Any) -> Any:
        others = tf.gather(values, draws["other"]), tf.gather(values, draws["third"])
        shape = [-1] + [1] * (len(values.shape) - 1)
        return values + tf.reshape(one, shape) * others[0] + tf.reshape(two, shape) * others[1]

    return added(sound), tf.minimum(added(targets), 1.0), added(weight) / (1 + one + two)


def draw_beta_mixup(config: BetaMixup, n: Any, seed: Any) -> Draws:
    """``other`` int ``[n]``, and ``share`` ``[n]`` of the clip itself."""
    return {"other": partners(seed, "partners", n)[0], "share": beta(seed, "share", n, config.alpha)}


def apply_beta_mixup(sound: Any, targets: Any, weight: Any, coin: Any, draws: Draws) -> tuple[Any, Any, Any]:
    """Where ``coin``: everything is share * own + (1 - share) * other's."""
    import tensorflow as tf

    share = tf.where(coin, draws["share"], 1.0)

    def mixed(values: Any) -> Any:
        own = tf.reshape(share, [-1] + [1] * (len(values.shape) - 1))
        return own * values + (1 - own) * tf.gather(values, draws["other"])

    return mixed(sound), mixed(targets), mixed(weight)
