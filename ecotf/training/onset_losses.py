"""The loss of where events begin and end, and of how long they are; computed in float32."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ecotf.config import Config


class OnsetLossConfig(Config):
    """How onsets, ends and lengths are taught, where the head answers for them.

    The loss of onsets and ends is that of CenterNet's centres (Zhou et al. 2019, "Objects as points"), as Voxaboxen
    uses it for sound: few frames are such, and those beside one are hardly wrong.

    Attributes
    ----------
    share
        Of the stage's loss; the rest is that of frames and whole clips. What is learned of onsets changes no layer that
        scores of frames come from, so it matters little.
    lengths
        How much an octave of error in a length counts against the loss of onsets.
    width
        Of an onset or end, in frames: the sigma of the bell that is learned, as boxes are not drawn to the frame.
    """

    share: float = Field(0.15, gt=0, lt=1)
    lengths: float = Field(0.5, ge=0)
    width: float = Field(1.0, gt=0, le=50)


def onset_loss(config: OnsetLossConfig, logits: Any, truth: Any, known: Any, octaves: float) -> Any:
    """Compute the loss of each clip, float32 ``[n]``: a sum over classes, each by its number of onsets and one more.

    Parameters
    ----------
    logits
        ``[n, t, 3 classes]``: of onsets, ends and lengths.
    truth
        `ecotf.pipelines.frame_truth.ClipTruth` of the batch.
    known
        ``[n, t, classes]``, 0 or 1: what is known of onsets and ends.
    octaves
        From the shortest length, a number of 0, to the longest, of 1.
    """
    import tensorflow as tf

    onsets, ends, lengths = tf.split(tf.cast(logits, tf.float32), 3, axis=-1)
    of_moments = _of_moments(onsets, truth.onsets, known) + _of_moments(ends, truth.ends, known)
    said = known * tf.cast(truth.lengths_known > 0.999, tf.float32)  # not in a mixture of two clips
    wrong = octaves * tf.abs(tf.sigmoid(lengths) - tf.cast(truth.lengths, tf.float32))
    of_lengths = tf.reduce_sum(said * wrong, 1) / (1 + tf.reduce_sum(said, 1))
    return tf.reduce_sum(0.5 * of_moments + config.lengths * of_lengths, 1)


def _of_moments(logits: Any, truth: Any, known: Any) -> Any:
    """Compute the loss of onsets or of ends, ``[n, classes]``."""
    import tensorflow as tf

    near, p = tf.cast(truth, tf.float32), tf.sigmoid(logits)
    yes = near * tf.square(1 - p) * tf.math.log_sigmoid(logits)
    no = tf.pow(1 - near, 4) * tf.square(p) * tf.math.log_sigmoid(-logits)
    how_many = 1 + tf.reduce_sum(known * tf.cast(near > 0.99, tf.float32), 1)
    return -tf.reduce_sum(known * (yes + no), 1) / how_many
