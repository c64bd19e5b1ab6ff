"""Numbers drawn in the graph from stateless seeds: the same seed gives the same numbers, wherever and whenever."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ecotf.config import Config

Draws = dict[str, Any]
"""The random draws of an augmentation: name to tensor, its first axis the batch."""


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"{value} is not a range from least to most")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Chance(Config):
    """The settings that all augmentations share.

    Attributes
    ----------
    probability
        Of each clip to be augmented so; in a group of which one is chosen, how often this one is.
    """

    probability: float = Field(0.0, ge=0, le=1)


class OneOf(Chance):
    """A group of augmentations of which a clip gets at most one.

    Attributes
    ----------
    names
        Each is chosen by its own ``probability`` re those of the others.
    probability
        Of a clip to get one of them.
    """

    names: tuple[str, ...] = Field(min_length=1)


def seed_of(seed: Any, name: str) -> Any:
    """A seed of its own for everything that is drawn under ``name``; int32 ``[2]``."""
    import tensorflow as tf

    return tf.random.fold_in(tf.cast(seed, tf.int32), zlib.crc32(name.encode()) & 0x7FFFFFFF)


def uniform(seed: Any, name: str, n: Any, low: float | Any = 0.0, high: float | Any = 1.0) -> Any:
    """float32 ``[n]`` from ``low`` up to ``high``."""
    import tensorflow as tf

    drawn = tf.random.stateless_uniform([n], seed_of(seed, name))
    return low + (high - low) * drawn


def whole_number(seed: Any, name: str, n: Any, below: Any) -> Any:
    """int32 ``[n]`` from 0, less than ``below`` (a number, or one for each)."""
    import tensorflow as tf

    below = tf.cast(below, tf.int32)
    drawn = uniform(seed, name, n) * tf.cast(below, tf.float32)
    return tf.minimum(tf.cast(tf.floor(drawn), tf.int32), below - 1)


def normal(seed: Any, name: str, shape: Any) -> Any:
    """float32 of ``shape``, mean 0, standard deviation 1."""
    import tensorflow as tf

    return tf.random.stateless_normal(shape, seed_of(seed, name))


def beta(seed: Any, name: str, n: Any, alpha: float) -> Any:
    """float32 ``[n]`` from a Beta distribution whose two parameters are ``alpha``."""
    import tensorflow as tf

    one, other = (
        tf.random.stateless_gamma([n], seed_of(seed, f"{name} {side}"), alpha) for side in ("first", "second")
    )
    return one / tf.maximum(one + other, 1e-30)


def partners(seed: Any, name: str, n: Any) -> tuple[Any, Any]:
    """Two others for each of ``n``, int32 ``[n]`` each: nobody gets itself, unless there are too few."""
    import tensorflow as tf

    order = tf.argsort(uniform(seed, name, n))
    place = tf.argsort(order)
    return tf.gather(order, (place + 1) % n), tf.gather(order, (place + 2) % n)


def coins(seed: Any, n: Any, chances: Mapping[str, float], groups: Sequence[OneOf]) -> dict[str, Any]:
    """Which clips get which augmentation.

    Parameters
    ----------
    chances
        Name to probability, of those that are in no group, and to weight of those in ``groups``.

    Returns
    -------
    dict
        Name to bool ``[n]``.
    """
    import tensorflow as tf

    grouped = {name for group in groups for name in group.names}
    thrown = {
        name: uniform(seed, f"{name} coin", n) < chance for name, chance in chances.items() if name not in grouped
    }
    for number, group in enumerate(groups):
        any_of_them = uniform(seed, f"group {number} coin", n) < group.probability
        which = uniform(seed, f"group {number} choice", n, 0.0, sum(chances[name] for name in group.names))
        low = 0.0
        for name in group.names:
            high = low + chances[name]
            thrown[name] = tf.logical_and(any_of_them, tf.logical_and(which >= low, which < high))
            low = high
    return thrown


def on_some(coin: Any, tensor: Any, change: Callable[[Any, Any], Any]) -> Any:
    """``tensor`` with ``change(rows, index)`` in place of the rows where ``coin`` is true; the others cost nothing."""
    import tensorflow as tf

    index = tf.cast(tf.where(coin)[:, 0], tf.int32)

    def changed() -> Any:
        rows = change(tf.gather(tensor, index), index)
        return tf.tensor_scatter_nd_update(tensor, index[:, None], tf.cast(rows, tensor.dtype))

    result = tf.cond(tf.size(index) > 0, changed, lambda: tensor)
    result.set_shape(tensor.shape)
    return result


Measure = Literal["rms", "peak"]


def level(sound: Any, measure: Measure) -> Any:
    """Loudness of each sound, float32 ``[n, 1]``: root mean square, or the greatest amplitude."""
    import tensorflow as tf

    if measure == "peak":
        return tf.reduce_max(tf.abs(sound), axis=1, keepdims=True)
    return tf.sqrt(tf.reduce_mean(tf.square(sound), axis=1, keepdims=True))
