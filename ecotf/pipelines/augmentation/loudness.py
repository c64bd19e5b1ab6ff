"""Gain, gain ramps, fades and polarity of sound ``[n, samples]``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecotf.pipelines.augmentation.draws import Chance, Draws, Range, uniform


class Gain(Chance):
    """One gain for the whole clip, in dB."""

    db: Range = (-12.0, 12.0)


class GainRamp(Chance):
    """A gain that changes once, evenly in dB.

    Attributes
    ----------
    db
        Of the gain before and of that after.
    seconds
        How long the change takes; it may begin before the clip or end after it.
    """

    db: Range = (-15.0, 15.0)
    seconds: Range = (0.2, 6.0)


class Fade(Chance):
    """The clip rises from silence and falls to it, each in a quarter of a sine.

    Attributes
    ----------
    seconds
        How long either takes, at most half of the clip.
    """

    seconds: Range = (0.0, 0.5)


class Polarity(Chance):
    """The sound upside down."""


def draw_gain(config: Gain, sound: Any, seed: Any) -> Draws:
    """``db`` ``[n]``."""
    import tensorflow as tf

    return {"db": uniform(seed, "db", tf.shape(sound)[0], *config.db)}


def apply_gain(sound: Any, draws: Draws) -> Any:
    """Sound * 10 ** (db / 20)."""
    import tensorflow as tf

    return sound * tf.pow(10.0, draws["db"][:, None] / 20.0)


def draw_gain_ramp(config: GainRamp, sound: Any, sample_rate: float, seed: Any) -> Draws:
    """``before_db`` and ``after_db``, ``first`` sample and ``length`` of the change in samples; all ``[n]``."""
    import tensorflow as tf

    n, samples = tf.shape(sound)[0], tf.cast(tf.shape(sound)[1], tf.float32)
    length = uniform(seed, "length", n, *config.seconds) * sample_rate
    return {
        "before_db": uniform(seed, "before", n, *config.db),
        "after_db": uniform(seed, "after", n, *config.db),
        "first": uniform(seed, "first", n) * (samples + length) - length,
        "length": length,
    }


def apply_gain_ramp(sound: Any, draws: Draws) -> Any:
    """Change the gain over time: in dB it is ``before_db``, then a straight line, then ``after_db``."""
    import tensorflow as tf

    place = tf.range(tf.shape(sound)[1], dtype=tf.float32)[None, :]
    done = (place - draws["first"][:, None]) / tf.maximum(draws["length"][:, None], 1.0)
    change = (draws["after_db"] - draws["before_db"])[:, None]
    db = draws["before_db"][:, None] + change * tf.clip_by_value(done, 0.0, 1.0)
    return sound * tf.pow(10.0, db / 20.0)


def draw_fade(config: Fade, sound: Any, sample_rate: float, seed: Any) -> Draws:
    """``rise`` and ``fall`` in samples, ``[n]``."""
    import tensorflow as tf

    n, most = tf.shape(sound)[0], tf.cast(tf.shape(sound)[1], tf.float32) / 2
    low, high = (tf.minimum(seconds * sample_rate, most) for seconds in config.seconds)
    return {name: uniform(seed, name, n, low, high) for name in ("rise", "fall")}


def apply_fade(sound: Any, draws: Draws) -> Any:
    """Sound * sin(pi / 2 * min(1, i / rise)), and the same from the end with ``fall``."""
    import tensorflow as tf

    samples = tf.shape(sound)[1]
    place = tf.range(samples, dtype=tf.float32)[None, :]
    left = tf.cast(samples - 1, tf.float32) - place
    for name, distance in (("rise", place), ("fall", left)):
        length = draws[name][:, None]
        sound = sound * tf.where(distance < length, tf.sin(np.pi / 2 * tf.math.divide_no_nan(distance, length)), 1.0)
    return sound


def apply_polarity(sound: Any) -> Any:
    """-sound."""
    return -sound
