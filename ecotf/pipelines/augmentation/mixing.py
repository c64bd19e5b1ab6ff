"""Mixing the clips of a batch with each other: sound, targets and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
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


class BetweenClass(Chance):
    """Two clips of different classes are mixed so that one sounds r of the whole, and so are their labels.

    Tokozume et al., ICLR 2018: r is uniform, the gains make up for how loud either clip is by itself, and the labels
    are r and 1 - r. Labels are shares then, so the loss is ``cross_entropy``, which differs from the published
    Kullback-Leibler divergence by a constant. Published for every clip: ``probability`` 1.

    Attributes
    ----------
    floor_db
        Windows that are less loud than this count as this loud.
    """

    floor_db: float = Field(-80.0, ge=-200, le=0)


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


def draw_between_class(config: BetweenClass, targets: Any, seed: Any) -> Draws:
    """Draw ``other`` int ``[n]``, with another strongest label where there is one, and ``share`` ``[n]``."""
    import tensorflow as tf

    n = tf.shape(targets)[0]
    main = tf.argmax(targets, axis=1)
    wish = tf.reshape(uniform(seed, "other", n * n), [n, n]) - tf.cast(main[:, None] == main[None, :], tf.float32)
    other = tf.argmax(wish - 2 * tf.eye(n), axis=1, output_type=tf.int32)
    return {"other": other, "share": uniform(seed, "share", n)}


def apply_between_class(
    sound: Any, targets: Any, weight: Any, coin: Any, draws: Draws, loudness_db: Any
) -> tuple[Any, Any, Any]:
    """Mix sound, labels and weights where ``coin``.

    With p = 1 / (1 + 10 ** ((own dB - other's dB) / 20) * (1 - share) / share), the sound is
    (p * own + (1 - p) * other's) / sqrt(p ** 2 + (1 - p) ** 2); labels and weights are mixed by ``share`` itself.

    Parameters
    ----------
    loudness_db
        float32 ``[n]`` (`loudness_of`).
    """
    import tensorflow as tf

    share = tf.where(coin, draws["share"], 1.0)
    louder = tf.pow(10.0, (loudness_db - tf.gather(loudness_db, draws["other"])) / 20)
    own = (share / tf.maximum(share + louder * (1 - share), 1e-30))[:, None]
    mixed = own * sound + (1 - own) * tf.gather(sound, draws["other"])
    mixed /= tf.sqrt(tf.square(own) + tf.square(1 - own))

    def shared(values: Any, part: Any) -> Any:
        return part * values + (1 - part) * tf.gather(values, draws["other"])

    return mixed, shared(targets, share[:, None]), shared(weight, share)


def loudness_of(sound: Any, sample_rate: float, floor_db: float = -80.0) -> Any:
    """Compute the A-weighted level of each sound's loudest window of about 0.1 s, in dB, float32 ``[n]``.

    Parameters
    ----------
    sound
        float32 ``[n, samples]``.
    floor_db
        The least level.
    """
    import tensorflow as tf

    window = int(2 ** np.round(np.log2(0.1 * sample_rate)))
    spectrum = tf.signal.stft(sound, window, window // 2, window, pad_end=True)
    weights = np.power(10.0, a_weighting_db(np.fft.rfftfreq(window, 1 / sample_rate)) / 10)
    power = tf.reduce_sum(tf.square(tf.abs(spectrum)) * tf.constant(weights, tf.float32), axis=-1)
    return 10 * tf.math.log(tf.maximum(tf.reduce_max(power, axis=1), 10 ** (floor_db / 10))) / np.log(10.0)


def a_weighting_db(hz: np.ndarray) -> np.ndarray:
    """Return how much louder people hear each frequency than 1 kHz (IEC 61672), in dB, at least -80.

    Example
    -------
    >>> a_weighting_db(np.array([100.0, 1000.0, 10000.0])).round(1)
    array([-19.1,   0. ,  -2.5])
    """
    squared = np.square(np.maximum(hz, 1e-3))
    gain = 12194.0**2 * squared**2 / (squared + 20.6**2) / (squared + 12194.0**2)
    gain /= np.sqrt((squared + 107.7**2) * (squared + 737.9**2))
    return np.maximum(2.0 + 20 * np.log10(gain), -80.0)
