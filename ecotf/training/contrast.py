"""Losses of contrastive learning: clips of a class together, others apart, and all of the space in use.

SupCon: Khosla et al., NeurIPS 2020. The contrast to class means: ProtoCLR (Moummad et al. 2024, arXiv:2409.08589). The
coding rate: Yu et al., NeurIPS 2020 (MCR2), used beside SupCon by Moummad et al., ICASSP 2024, for few-shot detection.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.config import Config

ContrastTo = Literal["examples", "means"]


class ContrastConfig(Config):
    """A contrastive loss.

    Attributes
    ----------
    to
        What a clip is compared with: all other ``examples`` of the batch (SupCon), or the ``means`` of its classes
        (ProtoCLR), which costs less where batches are large.
    temperature
        Cosines are divided by it; published .06 for ``examples``, .1 for ``means``.
    coding_rate
        Weight of the coding rate, which is to be large, so that the space does not collapse; published 1e-3; 0: none.
    precision
        The squared error that the coding rate allows; published .05.
    """

    to: ContrastTo = "examples"
    temperature: float = Field(0.06, gt=0, le=10)
    coding_rate: float = Field(1e-3, ge=0)
    precision: float = Field(0.05, gt=0)


def contrast_loss(config: ContrastConfig, projected: Any, targets: Any) -> Any:
    """Compute the loss of a batch.

    Parameters
    ----------
    projected
        float ``[n, e]``, of any length; it is brought to length 1.
    targets
        ``[n, classes]``: clips that share a class (above a half) belong together. A clip of no class belongs to none,
        and all others are pushed away from it.

    Returns
    -------
    float32 scalar; of a batch without two clips of a class it is that of the coding rate alone.
    """
    import tensorflow as tf

    seen = tf.math.l2_normalize(tf.cast(projected, tf.float32), axis=1)
    there = tf.cast(targets > 0.5, tf.float32)
    compare = _to_examples if config.to == "examples" else _to_means
    loss = compare(seen, there, config.temperature)
    return loss - config.coding_rate * coding_rate(seen, config.precision) if config.coding_rate else loss


def coding_rate(rows: Any, precision: float) -> Any:
    """Compute the rate at which rows ``[n, e]`` of length 1 can be coded, in nats: 1/2 log det(1 + e / (n p) Z'Z)."""
    import tensorflow as tf

    n, width = tf.cast(tf.shape(rows)[0], tf.float32), rows.shape[1]
    gram = tf.matmul(rows, rows, transpose_a=True)
    return 0.5 * tf.linalg.logdet(tf.eye(width) + (width / (n * precision)) * gram)


def _to_examples(seen: Any, there: Any, temperature: float) -> Any:
    """SupCon's L_out: of each clip the mean, over others of its class, of - log of the share that such a one has."""
    import tensorflow as tf

    itself = tf.eye(tf.shape(seen)[0])
    own = tf.cast(tf.matmul(there, there, transpose_b=True) > 0, tf.float32) * (1 - itself)
    cosines = tf.matmul(seen, seen, transpose_b=True) / temperature
    log_share = cosines - tf.reduce_logsumexp(cosines - 1e9 * itself, axis=1, keepdims=True)
    return _mean_of_some(-tf.reduce_sum(own * log_share, axis=1), tf.reduce_sum(own, axis=1))


def _to_means(seen: Any, there: Any, temperature: float) -> Any:
    """ProtoCLR: of each clip - log of the share that the mean of its class has among all means of the batch."""
    import tensorflow as tf

    counts = tf.reduce_sum(there, axis=0)
    means = tf.math.divide_no_nan(tf.matmul(there, seen, transpose_a=True), counts[:, None])
    cosines = tf.matmul(seen, means, transpose_b=True) / temperature
    absent = tf.where(counts > 0, 0.0, -1e9)
    log_share = cosines - tf.reduce_logsumexp(cosines + absent, axis=1, keepdims=True)
    return _mean_of_some(-tf.reduce_sum(there * log_share, axis=1), tf.reduce_sum(there, axis=1))


def _mean_of_some(sums: Any, counts: Any) -> Any:
    """Average ``sums / counts`` over the clips that have a count."""
    import tensorflow as tf

    each = tf.math.divide_no_nan(sums, counts)
    return tf.math.divide_no_nan(tf.reduce_sum(each), tf.reduce_sum(tf.cast(counts > 0, tf.float32)))
