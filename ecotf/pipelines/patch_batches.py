"""Batches of training patches, cut from spectrograms while the network trains (tf.data)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.pipelines.patches import PatchesConfig, PatchTable, cut_table
from ecotf.pipelines.spectrogram_store import StoredSpectrogram


class AugmentationConfig(Config):
    """The augmentations of training patches; none by default, as published.

    Attributes
    ----------
    level_shift
        The level of each patch is shifted by up to this much, in the units of the front end's scale, as if the bat
        were nearer or farther.
    time_mask, frequency_mask
        Up to this share of the columns or bands is set to zero (Park et al. 2019).
    """

    level_shift: float = Field(0.0, ge=0)
    time_mask: float = Field(0.0, ge=0, lt=1)
    frequency_mask: float = Field(0.0, ge=0, lt=1)


def patch_batches(
    table: PatchTable,
    targets: np.ndarray,
    weights: np.ndarray,
    spectrograms: Sequence[StoredSpectrogram],
    patches: PatchesConfig,
    *,
    batch: int,
    augmentation: AugmentationConfig | None = None,
    rng: np.random.Generator | None = None,
) -> Any:
    """A tf.data set of one pass over ``table``: ``(patch, target, weight)``.

    Patches are cut batch by batch from the (memory-mapped) spectrograms, so memory holds a few batches, not the set.

    Parameters
    ----------
    rng
        Shuffles and augments; without it the order is the table's and nothing is augmented.
    """
    import tensorflow as tf

    order = np.arange(len(table)) if rng is None else rng.permutation(len(table))
    seeds = (
        np.zeros(-(-len(table) // batch), np.int64)
        if rng is None
        else rng.integers(1 << 62, size=-(-len(table) // batch))
    )

    def cut(number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        index = order[number * batch : (number + 1) * batch]
        x = cut_table(table.take(index), spectrograms, patches)
        if augmentation is not None and rng is not None:
            augment(x, augmentation, np.random.default_rng(seeds[number]))
        return x, targets[index], weights[index]

    columns, bands = cut_table(table.take(order[:1]), spectrograms, patches).shape[1:3]

    def cut_in_graph(number: Any) -> Any:
        x, y, w = tf.numpy_function(cut, [number], (tf.float32, tf.float32, tf.float32))
        x.set_shape([None, columns, bands, 1])
        y.set_shape([None, targets.shape[1]])
        w.set_shape([None])
        return x, y, w

    numbers = tf.data.Dataset.range(len(seeds))
    return numbers.map(cut_in_graph, num_parallel_calls=1, deterministic=True).prefetch(2)


def augment(x: np.ndarray, config: AugmentationConfig, rng: np.random.Generator) -> None:
    """Augment patches ``[n, columns, bands, 1]`` in place. Silence stays silence: zeros are what denoising left."""
    if config.level_shift:
        # In a logarithm of power, a gain is a shift; what falls under the noise floor is gone.
        shift = rng.uniform(-config.level_shift, config.level_shift, size=(len(x), 1, 1, 1)).astype(np.float32)
        x += np.where(x > 0, shift, np.float32(0))
        np.maximum(x, 0, out=x)
    for axis, share in ((1, config.time_mask), (2, config.frequency_mask)):
        if share:
            _mask(x, axis, share, rng)


def _mask(x: np.ndarray, axis: int, share: float, rng: np.random.Generator) -> None:
    n = x.shape[axis]
    length = rng.integers(0, int(share * n) + 1, size=len(x))
    start = rng.integers(0, n - length + 1)
    place = np.arange(n)[None, :]
    keep = (place < start[:, None]) | (place >= (start + length)[:, None])
    x *= np.expand_dims(keep, tuple({1, 2, 3} - {axis})).astype(np.float32)
