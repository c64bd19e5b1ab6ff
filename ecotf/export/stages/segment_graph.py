"""From logits to the probabilities of a segment, in the graph: what `ecotf.detection.segments` does, in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ecotf.detection.segments import SegmentsConfig

_LEAST = np.float32(1e-37)  # above the smallest normal number of float32


def segments_function(
    activation: Literal["sigmoid", "softmax"],
    segments: SegmentsConfig,
    inside: tuple[int, int],
    inputs: tuple[str, ...],
) -> Callable[..., dict[str, Any]]:
    """Make a function from logits to ``scores`` [1, classes] and, if the head has them, ``frames`` [1, t, classes].

    Parameters
    ----------
    inside
        The first frame in the segment, and the first behind it.
    inputs
        ``clip_logits`` alone, or ``attention`` and ``frame_logits``.
    """

    def of_clip(clip_logits: Any) -> dict[str, Any]:
        return {"scores": _probability(clip_logits, activation)}

    def of_frames(attention: Any, frame_logits: Any) -> dict[str, Any]:
        frames = _probability(frame_logits, activation)
        outputs = {"frames": frames[:, inside[0] : inside[1]]}
        of_classes = attention.shape[-1]  # what a head says of onsets stands behind them
        frames, frame_logits = frames[..., :of_classes], frame_logits[..., :of_classes]
        if segments.score == "clip":
            outputs["scores"] = _pooled(attention, frame_logits, activation)
        else:
            outputs["scores"] = _greatest(frames, frame_logits, segments, inside, activation)
        return outputs

    return of_clip if inputs == ("clip_logits",) else of_frames


def _probability(logits: Any, activation: str) -> Any:
    import tensorflow as tf

    return tf.sigmoid(logits) if activation == "sigmoid" or logits.shape[-1] == 1 else tf.nn.softmax(logits)


def _pooled(attention: Any, logits: Any, activation: str) -> Any:
    """Average the frames' sigmoids, weighted by the attention; then the softmax over classes where there is one."""
    import tensorflow as tf

    weights = tf.exp(tf.tanh(attention))  # tanh is bounded: nothing overflows
    weights = weights / tf.reduce_sum(weights, axis=1, keepdims=True)
    likely = tf.reduce_sum(weights * tf.sigmoid(logits), axis=1)
    if activation == "sigmoid":
        return likely
    unlikely = tf.reduce_sum(weights * tf.sigmoid(-logits), axis=1)
    return _probability(_log(likely) - _log(unlikely), activation)


def _greatest(frames: Any, logits: Any, segments: SegmentsConfig, inside: tuple[int, int], activation: str) -> Any:
    """Return the greatest logits of the frames in the segment, with some earlier and some later ones."""
    import tensorflow as tf

    first, last = inside
    if not segments.shift_frames:
        return tf.reduce_max(frames[:, first:last], axis=1)
    if activation == "softmax" and logits.shape[-1] > 1:
        logits = _softmax_logits(frames)

    def greatest(shift: int) -> Any:
        start = int(np.clip(first + shift, 0, logits.shape[1] - 1))
        return tf.reduce_max(logits[:, start : min(logits.shape[1], max(start + 1, last + shift))], axis=1)

    share = segments.shift_share
    sides = greatest(-segments.shift_frames) + greatest(segments.shift_frames)
    return tf.sigmoid((1 - 2 * share) * greatest(0) + share * sides)


def _softmax_logits(likely: Any) -> Any:
    """log p - log(1 - p); where p is above a half, 1 - p is the sum of the others, so that it stays exact."""
    import tensorflow as tf

    first = likely > 0.5
    others = tf.reduce_sum(tf.where(first, tf.zeros_like(likely), likely), axis=-1, keepdims=True)
    return _log(likely) - _log(tf.where(first, others + tf.zeros_like(likely), 1 - likely))


def _log(values: Any) -> Any:
    import tensorflow as tf

    return tf.math.log(tf.maximum(values, _LEAST))
