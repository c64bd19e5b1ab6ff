"""Time shift, time stretch and pitch shift of sound ``[n, samples]``; the length stays.

Stretch and pitch shift are a phase vocoder, as in the published torch-audiomentations: plain resampling would change
both at once. The pitch is shifted by stretching and then resampling (four-point Lagrange interpolation) to the length
that it had; what would come to lie above half the sample rate is taken out before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import Field

from ecotf.pipelines.augmentation.draws import Chance, Draws, Range, uniform

_SLICE = 8  # clips that are vocoded at once: a phase vocoder takes some thirty times the memory of its sound
_OVERLAP = 4


class TimeShift(Chance):
    """The clip is moved in time.

    Attributes
    ----------
    share
        By up to this part of the clip, to either side.
    roll
        What is moved out comes in again at the other end; else there is silence.
    """

    share: float = Field(0.5, gt=0, le=1)
    roll: bool = True


class TimeStretch(Chance):
    """The clip gets faster or slower and keeps its pitch.

    Attributes
    ----------
    factor
        Of speed. A faster clip is followed by silence, a slower one is cut.
    """

    factor: Range = (0.8, 1.25)


class PitchShift(Chance):
    """The clip gets higher or lower and keeps its speed, by so many semitones."""

    semitones: Range = (-4.0, 4.0)


def draw_time_shift(config: TimeShift, sound: Any, seed: Any) -> Draws:
    """``samples`` int ``[n]``; above 0 is later."""
    import tensorflow as tf

    share = uniform(seed, "share", tf.shape(sound)[0], -config.share, config.share)
    return {"samples": tf.cast(tf.round(share * tf.cast(tf.shape(sound)[1], tf.float32)), tf.int32)}


def apply_time_shift(sound: Any, draws: Draws, roll: bool = True) -> Any:
    """Sample i goes to i + ``samples``."""
    import tensorflow as tf

    n_samples = tf.shape(sound)[1]
    source = tf.range(n_samples)[None, :] - draws["samples"][:, None]
    moved = tf.gather(sound, source % n_samples, axis=1, batch_dims=1)
    return moved if roll else tf.where((source >= 0) & (source < n_samples), moved, 0.0)


def draw_time_stretch(config: TimeStretch, sound: Any, seed: Any) -> Draws:
    """``factor`` ``[n]``."""
    import tensorflow as tf

    return {"factor": uniform(seed, "factor", tf.shape(sound)[0], *config.factor)}


def apply_time_stretch(sound: Any, draws: Draws, window: int) -> Any:
    """Return the sound ``factor`` times as fast; ``window`` is the vocoder's, in samples, a multiple of 4."""
    import tensorflow as tf

    samples = tf.shape(sound)[1]
    return _vocoded(sound, draws["factor"], window, samples, tf.ones_like(draws["factor"]))


def draw_pitch_shift(config: PitchShift, sound: Any, seed: Any) -> Draws:
    """``semitones`` ``[n]``."""
    import tensorflow as tf

    return {"semitones": uniform(seed, "semitones", tf.shape(sound)[0], *config.semitones)}


def apply_pitch_shift(sound: Any, draws: Draws, window: int) -> Any:
    """The sound with all frequencies 2 ** (semitones / 12) times as high; ``window`` as of `apply_time_stretch`."""
    import tensorflow as tf

    samples = tf.shape(sound)[1]
    ratio = tf.pow(2.0, draws["semitones"] / 12.0)
    longest = tf.cast(tf.math.ceil(tf.cast(samples, tf.float32) * tf.reduce_max(ratio)), tf.int32) + 4
    stretched = _vocoded(sound, 1.0 / ratio, window, longest, ratio)
    # float64: a place in 30 s of sound needs more digits than float32 has.
    place = tf.cast(tf.range(samples), tf.float64)[None, :] * tf.cast(ratio, tf.float64)[:, None]
    return interpolated(stretched, place)


def interpolated(sound: Any, place: Any) -> Any:
    """Sound between its samples, by the cubic through the four nearest; ``place`` float64 ``[n, m]`` in samples."""
    import tensorflow as tf

    before = tf.floor(place)
    t = tf.cast(place - before, tf.float32)
    index = tf.cast(before, tf.int32)
    last = tf.shape(sound)[1] - 1
    a, b, c, d = (
        tf.gather(sound, tf.clip_by_value(index + offset, 0, last), axis=1, batch_dims=1) for offset in (-1, 0, 1, 2)
    )
    return (
        a * (-t * (t - 1) * (t - 2) / 6)
        + b * ((t + 1) * (t - 1) * (t - 2) / 2)
        + c * (-(t + 1) * t * (t - 2) / 2)
        + d * ((t + 1) * t * (t - 1) / 6)
    )


def _vocoded(sound: Any, speed: Any, window: int, n_samples: Any, ratio: Any) -> Any:
    """The sound ``speed`` times as fast, ``n_samples`` of it, without what is above half the rate over ``ratio``.

    Frames are a quarter of a window apart. Output frame j has the magnitudes at input frame j * speed (between two
    frames: their mean by distance), and turns on in phase as the input does from that frame to the next.
    """
    import tensorflow as tf

    hop, half = window // _OVERLAP, window // 2
    spectrum = tf.signal.stft(tf.pad(sound, [[0, 0], [half, half + window]]), window, hop)
    n_frames = tf.shape(spectrum)[1]
    place = tf.range((n_samples + window) // hop + 1, dtype=tf.float32)[None, :] * speed[:, None]
    before = tf.minimum(tf.cast(tf.floor(place), tf.int32), n_frames - 2)
    share = tf.minimum(place - tf.cast(before, tf.float32), 1.0)[..., None]
    size, angle = tf.abs(spectrum), tf.math.angle(spectrum)
    turn = angle[:, 1:] - angle[:, :-1]
    magnitude = (1 - share) * tf.gather(size, before, axis=1, batch_dims=1)
    magnitude += share * tf.gather(size, before + 1, axis=1, batch_dims=1)
    bins = tf.range(half + 1, dtype=tf.float32)[None, None, :] * ratio[:, None, None]
    magnitude = tf.where(bins <= half, magnitude, 0.0)
    turns = tf.gather(turn, before, axis=1, batch_dims=1)
    phase = angle[:, :1] + tf.cumsum(turns, axis=1, exclusive=True)
    made = tf.complex(magnitude * tf.cos(phase), magnitude * tf.sin(phase))
    out = tf.signal.inverse_stft(made, window, hop, window_fn=tf.signal.inverse_stft_window_fn(hop))
    return out[:, half : half + n_samples]


def in_slices(change: Callable[[Any, Any], Any], sound: Any, index: Any) -> Any:
    """``change(sound, index)`` done for eight rows at a time, to bound the memory that it takes."""
    import tensorflow as tf

    n = tf.shape(sound)[0]
    numbers = tf.range((n + _SLICE - 1) // _SLICE)

    def one(number: Any) -> Any:
        rows = tf.minimum(number * _SLICE + tf.range(_SLICE), n - 1)  # the last slice is filled with its last row
        return change(tf.gather(sound, rows), tf.gather(index, rows))

    changed = tf.map_fn(one, numbers, fn_output_signature=tf.float32, parallel_iterations=1)
    return tf.reshape(changed, [-1, tf.shape(sound)[1]])[:n]


def vocoder_window(sample_rate: float) -> int:
    """Samples of a vocoder window of about 32 ms, a power of 2."""
    return int(2 ** np.round(np.log2(0.032 * sample_rate)))
