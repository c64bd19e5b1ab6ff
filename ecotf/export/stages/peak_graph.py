"""Peaks inside the graph: the strongest of a block, its patch and measures, for programs that cannot find it.

The operations are those of `ecotf.features.peaks` and `ecotf.pipelines.patches`, as TensorFlow has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf.features.peaks import PeakConfig
from ecotf.pipelines.patches import PatchesConfig

_HUGE = np.float32(1e30)
_FAR_BELOW = np.float32(1e4)  # more than any strength, so that a slice that is no peak never beats one that is


def strongest_function(
    n_frames: int, n_rows: int, hop_s: float, slices: int, peaks: PeakConfig, patches: PatchesConfig, measured: bool
) -> Callable[[Any], dict[str, Any]]:
    """Make a function from a denoised block [n_frames, n_rows] to the ``patch`` on its strongest peak.

    The patch is [1, columns, bands, 1]. The peak is at least half a patch from both ends; where there is no peak, the
    strongest slice is used instead. With ``measured``, it gives the peak's ``measures`` [1, 11], too.
    """
    import tensorflow as tf

    reach, half = max(1, round(peaks.reach_s / hop_s)), slices // 2
    radius = max(1, round(peaks.separation_s / hop_s))
    at = np.arange(n_frames)
    inside = (at >= half) & (at <= n_frames - half)
    reduce = window_function(slices, n_rows, patches)

    def compute(values: Any) -> dict[str, Any]:
        track = _smoothed(tf.reduce_max(values, axis=1), peaks.smooth_s / hop_s)
        around = _patches(track, reach)
        prominence = _prominence(around, reach)
        peak = (track > peaks.floor) & _is_highest(track, radius)
        if peaks.prominence:
            peak &= prominence >= peaks.prominence
        rank = tf.where(peak, track, track - _FAR_BELOW)
        where = tf.argmax(tf.where(inside, rank, -_HUGE), output_type=tf.int32)
        # Looked up, not sliced: TFLite holds a slice whose start it does not know for one of unknown size, and runs no
        # part of a graph with such in its fast kernels.
        outputs = {"patch": reduce(tf.gather(values, where - half + np.arange(slices, dtype=np.int32)))}
        if measured:
            here = [tf.gather(numbers, where) for numbers in (around, prominence, values)]
            found = _Found(track, peak, where, *here)
            outputs["measures"] = _measures(found, n_frames, n_rows, reach, hop_s)
        return outputs

    return compute


def window_function(slices: int, n_rows: int, config: PatchesConfig) -> Callable[[Any], Any]:
    """Make a function from [slices, n_rows] to the network's input [1, columns, bands, 1], as `reduce_patches`."""
    import tensorflow as tf

    time, frequency = config.reduce_time, config.reduce_frequency
    used = n_rows - n_rows % frequency
    columns = _reduction(slices, time, config.resize)
    bands = _reduction(used, frequency, config.resize)
    bands = np.pad(bands, ((0, 0), (0, n_rows - used))).T

    def compute(patch: Any) -> Any:
        return tf.reshape(tf.matmul(columns, tf.matmul(patch, bands)), [1, len(columns), bands.shape[1], 1])

    return compute


def _reduction(n: int, factor: int, resize: str) -> NDArray[np.float32]:
    """Make the matrix [n // factor, n] that reduces a column of n numbers."""

    from scipy.ndimage import zoom

    if resize == "corners":
        return np.asarray(zoom(np.eye(n), (1 / factor, 1), order=1), np.float32)
    return np.kron(np.eye(n // factor), np.full((1, factor), 1 / factor)).astype(np.float32)


def _smoothed(track: Any, sigma: float) -> Any:
    """Smooth as scipy.ndimage.gaussian_filter1d does: cut at 4 sigma, the ends reflect."""
    import tensorflow as tf

    radius = int(4 * sigma + 0.5)
    if not radius:
        return track
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (weights / weights.sum()).astype(np.float32)[:, None, None]
    padded = tf.pad(track, [[radius, radius]], mode="SYMMETRIC")
    return tf.nn.conv1d(padded[None, :, None], kernel, stride=1, padding="VALID")[0, :, 0]


def _patches(track: Any, reach: int) -> Any:
    """[n, 2 * reach + 1]: the track around each slice, huge beyond its ends. A convolution that copies."""
    import tensorflow as tf

    padded = tf.pad(track, [[reach, reach]], constant_values=_HUGE)
    copies = np.eye(2 * reach + 1, dtype=np.float32)[:, None, :]
    return tf.nn.conv1d(padded[None, :, None], copies, stride=1, padding="VALID")[0]


def _prominence(around: Any, reach: int) -> Any:
    """Measure how far the track falls on both sides of each slice, within reach, before something stronger."""
    import tensorflow as tf

    own = around[:, reach : reach + 1]
    lowest = []
    for side, outwards_is_reverse in ((around[:, :reach], True), (around[:, reach + 1 :], False)):
        stronger = tf.cast(side > own, tf.float32)
        blocked = tf.cumsum(stronger, axis=1, reverse=outwards_is_reverse) > 0
        lowest.append(tf.reduce_min(tf.where(blocked, own, side), axis=1))
    return own[:, 0] - tf.maximum(lowest[0], lowest[1])


def _is_highest(track: Any, radius: int) -> Any:
    """Above all of ``radius`` slices before, and at least as high as all of those after."""
    import tensorflow as tf

    def highest(padding: list[int], first: int) -> Any:
        padded = tf.pad(track, [padding], constant_values=-_HUGE)
        pooled = tf.nn.max_pool1d(padded[None, :, None], radius, 1, "VALID")[0, :, 0]
        return pooled[first : first + track.shape[0]]

    return (highest([radius, 0], 0) < track) & (highest([0, radius], 1) <= track)


class _Found:
    """The peak, and what is known of the track around it."""

    def __init__(self, track: Any, peak: Any, where: Any, around: Any, prominence: Any, bands: Any) -> None:
        self.track, self.peak, self.where = track, peak, where
        self.around, self.prominence, self.bands = around, prominence, bands


def _measures(found: _Found, n_frames: int, n_rows: int, reach: int, hop_s: float) -> Any:
    """[1, 11], in the order of `ecotf.features.peaks.MEASURES`. What is divided on the desktop is looked up here."""
    import tensorflow as tf

    at = np.arange(n_frames, dtype=np.int32)
    own = tf.gather(found.track, found.where)
    seconds = (np.arange(reach + 1) * hop_s).astype(np.float32)
    gaps, neighbours = [], []
    for side in (-1, 1):
        distance = (at - found.where) * side
        there = found.peak & (distance > 0)
        gap = tf.reduce_min(tf.where(there, distance, reach))
        gap = tf.minimum(gap, reach)
        neighbour = tf.gather(found.track, tf.clip_by_value(found.where + side * gap, 0, n_frames - 1))
        gaps.append(tf.gather(seconds, gap))
        neighbours.append(tf.where(gap >= reach, 0.0, neighbour))
    heard = tf.where(found.around >= _HUGE, -_HUGE, found.around)
    near = (reach | 1) // 2
    loud = tf.reduce_sum(tf.cast(found.bands > 0.5 * own, tf.int32))
    columns = [
        own,
        *gaps,
        *neighbours,
        tf.reduce_max(heard[reach - near : reach + near + 1]) - own,
        tf.reduce_max(heard) - own,
        tf.reduce_max(heard[: reach + 1]) - own,
        found.prominence,
        tf.gather((np.arange(n_rows) / n_rows).astype(np.float32), tf.argmax(found.bands, output_type=tf.int32)),
        tf.gather((np.arange(n_rows + 1) / n_rows).astype(np.float32), loud),
    ]
    return tf.stack(columns)[None]
