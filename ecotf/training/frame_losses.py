"""The loss of frames whose classes are known, and of no others; computed in float32."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.config import Config


class FrameLossConfig(Config):
    """How frames are taught.

    Attributes
    ----------
    name
        ``focal``: (1 - p) ** gamma times the cross-entropy, p the probability of what is true (Lin et al., ICCV 2017).
        ``asymmetric``: with another gamma for frames without the class, and their probability lowered by ``margin``
        first (Ridnik et al., ICCV 2021): the many frames of nothing, once learned, do not drown the few of events.
    gamma, gamma_absent
        Of frames with the class, and of those without it (asymmetric only); 0 is plain cross-entropy.
    margin
        What is taken off the probability of a class that is not there (asymmetric only).
    present
        How much more a frame with the class counts than one without it: above 1 for recall, below for precision.
    share
        Of the stage's loss; the rest is that of whole clips.
    """

    name: Literal["focal", "asymmetric"] = "asymmetric"
    gamma: float = Field(0.0, ge=0, le=10)
    gamma_absent: float = Field(2.0, ge=0, le=10)
    margin: float = Field(0.0, ge=0, lt=1)
    present: float = Field(1.0, gt=0)
    share: float = Field(0.7, gt=0, le=1)


def frame_loss(config: FrameLossConfig, logits: Any, targets: Any, known: Any) -> Any:
    """Compute the loss of each clip, float32 ``[n]``: for each class the mean over its known frames, added up.

    Parameters
    ----------
    logits, targets, known
        ``[n, t, classes]``; targets from 0 to 1, ``known`` 0 or 1. A class without a known frame counts 0.
    """
    import tensorflow as tf

    logits, targets, known = (tf.cast(values, tf.float32) for values in (logits, targets, known))
    log_yes, log_no = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    p = tf.sigmoid(logits)
    if config.name == "focal":
        yes, no = _power(1 - p, config.gamma) * log_yes, _power(p, config.gamma) * log_no
    else:
        lowered = tf.nn.relu(p - config.margin)
        if config.margin:
            log_no = tf.math.log1p(-tf.minimum(lowered, 1 - 1e-6))
        yes, no = _power(1 - p, config.gamma) * log_yes, _power(lowered, config.gamma_absent) * log_no
    cells = -known * (config.present * targets * yes + (1 - targets) * no)
    return tf.reduce_sum(tf.math.divide_no_nan(tf.reduce_sum(cells, 1), tf.reduce_sum(known, 1)), 1)


def _power(values: Any, gamma: float) -> Any:
    """Raise to a power whose slope is finite at 0."""
    import tensorflow as tf

    if not gamma:
        return tf.ones_like(values)
    return tf.pow(tf.maximum(values, 1e-6), gamma)
