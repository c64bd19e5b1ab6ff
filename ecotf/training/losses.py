"""Losses of clips: functions of logits, soft labels and weights, computed in float32.

Every loss gives one number a clip first, and then their weighted average. Soft labels are taken as they are: those of a
clip may add up to more than 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.errors import ConfigError

LossName = Literal["cross_entropy", "binary", "focal_softmax", "focal_sigmoid", "kl", "squared"]
Average = Literal["weights", "clips", "sum"]


class LossConfig(Config):
    """The loss that a stage minimises.

    Attributes
    ----------
    name
        ``cross_entropy``, ``focal_softmax`` and ``kl`` for one class out of many; ``binary``, ``focal_sigmoid`` and
        ``squared`` for any number of classes at once. ``kl`` is the divergence of the scores from the labels, with the
        slopes of cross-entropy; ``squared`` the mean over classes of (score - label) squared.
    label_smoothing
        Share of each label that is spread: evenly over the classes, or, of the binary ones, over yes and no.
    gamma
        How much less a focal loss counts scores that are already right (Lin et al., ICCV 2017); 0, or at least 1.
    weighted_focus
        Whether a focal loss takes p = exp(-loss) from the loss with class weights, as published in 2024. Class weights
        far above 1 then switch the focus off.
    frames_share
        Share of the loss on the greatest of the frames' logits; 0.5 is published for ``sed``. 0 for heads that give
        no frames.
    average
        The clips' losses, each times its weight, are summed and divided by the sum of the ``weights``, by the number of
        ``clips``, or not at all (``sum``; published for binary ones in 2023).
    """

    name: LossName
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    gamma: float = Field(2.0, ge=0, le=10)
    weighted_focus: bool = True
    frames_share: float = Field(0.0, ge=0, le=1)
    average: Average = "weights"

    @property
    def activation(self) -> Literal["sigmoid", "softmax"]:
        """The function that makes probabilities of logits trained with this loss."""
        return "softmax" if self.name in _OF_ONE_CLASS else "sigmoid"

    @model_validator(mode="after")
    def _gamma_has_a_slope(self) -> LossConfig:
        if 0 < self.gamma < 1:
            raise ValueError(f"gamma = {self.gamma:g}: allowed are 0 and numbers from 1 on")
        return self


def clip_loss(
    config: LossConfig,
    logits: Mapping[str, Any],
    targets: Any,
    class_weights: Any = None,
    sample_weights: Any = None,
) -> Any:
    """Compute the loss of a batch.

    Parameters
    ----------
    logits
        ``clip`` [batch, classes], and ``frames`` [batch, t, classes] where ``frames_share`` is above 0.
    targets
        [batch, classes], from 0 to 1.
    class_weights
        [classes]; 1 where there are none.
    sample_weights
        [batch]; 1 where there are none. A batch of zeros has loss 0.

    Returns
    -------
    float32 scalar

    Raises
    ------
    ConfigError
        The head gives no frames.
    """
    import tensorflow as tf

    def one(values: Any) -> Any:
        return per_clip(config, values, targets, class_weights)

    share = config.frames_share
    if share and "frames" not in logits:
        raise ConfigError(f"frames_share = {share:g}: this head gives no frames; allowed: 0, or a head that does (sed)")
    losses = (1 - share) * one(logits["clip"])
    if share:
        losses += share * one(tf.reduce_max(logits["frames"][..., : targets.shape[-1]], axis=1))
    return averaged(losses, sample_weights, config.average)


def per_clip(config: LossConfig, logits: Any, targets: Any, class_weights: Any = None) -> Any:
    """Compute the loss of each clip, float32 [batch], from logits [batch, classes]."""
    return _LOSSES[config.name](config, logits, targets, class_weights)


def cross_entropy(logits: Any, targets: Any, class_weights: Any = None, label_smoothing: float = 0.0) -> Any:
    """Compute - sum over classes of weight * label * log softmax(logits), [batch]."""
    import tensorflow as tf

    logits, targets, weights = _float32(logits, targets, class_weights)
    targets = _spread(logits, targets, label_smoothing)
    return -tf.reduce_sum(weights * targets * tf.nn.log_softmax(logits), axis=-1)


def binary_cross_entropy(logits: Any, targets: Any, class_weights: Any = None, label_smoothing: float = 0.0) -> Any:
    """Sum over classes of weight * binary cross-entropy, [batch]."""
    import tensorflow as tf

    return tf.reduce_sum(_binary(logits, targets, class_weights, label_smoothing), axis=-1)


def focal_softmax(
    logits: Any,
    targets: Any,
    class_weights: Any = None,
    label_smoothing: float = 0.0,
    gamma: float = 2.0,
    weighted_focus: bool = True,
) -> Any:
    """Compute (1 - p) ** gamma * cross-entropy with p = exp(-cross-entropy), [batch]."""
    loss = cross_entropy(logits, targets, class_weights, label_smoothing)
    plain = loss if weighted_focus else cross_entropy(logits, targets, None, label_smoothing)
    return _focus(plain, gamma) * loss


def focal_sigmoid(
    logits: Any,
    targets: Any,
    class_weights: Any = None,
    label_smoothing: float = 0.0,
    gamma: float = 2.0,
    weighted_focus: bool = True,
) -> Any:
    """Sum over classes of (1 - p) ** gamma * binary cross-entropy with p = exp(-binary cross-entropy), [batch]."""
    import tensorflow as tf

    loss = _binary(logits, targets, class_weights, label_smoothing)
    plain = loss if weighted_focus else _binary(logits, targets, None, label_smoothing)
    return tf.reduce_sum(_focus(plain, gamma) * loss, axis=-1)


def kl_divergence(logits: Any, targets: Any, class_weights: Any = None, label_smoothing: float = 0.0) -> Any:
    """Compute sum over classes of weight * label * (log label - log softmax(logits)), [batch]."""
    import tensorflow as tf

    logits, targets, weights = _float32(logits, targets, class_weights)
    targets = _spread(logits, targets, label_smoothing)
    # 0 log 0 is 0
    return cross_entropy(logits, targets, class_weights) + tf.reduce_sum(
        weights * tf.math.xlogy(targets, targets), axis=-1
    )


def squared_error(logits: Any, targets: Any, class_weights: Any = None, label_smoothing: float = 0.0) -> Any:
    """Compute the mean over classes of weight * (sigmoid(logit) - label) squared, [batch]."""
    import tensorflow as tf

    logits, targets, weights = _float32(logits, targets, class_weights)
    targets = (1 - label_smoothing) * targets + label_smoothing / 2
    return tf.reduce_mean(weights * (tf.sigmoid(logits) - targets) ** 2, axis=-1)


def averaged(losses: Any, sample_weights: Any = None, average: Average = "weights") -> Any:
    """Reduce the clips' losses [batch] to one number."""
    import tensorflow as tf

    weights = tf.ones_like(losses) if sample_weights is None else tf.cast(sample_weights, tf.float32)
    total = tf.reduce_sum(losses * weights)
    if average == "weights":
        return tf.math.divide_no_nan(total, tf.reduce_sum(weights))
    return total / tf.cast(tf.shape(losses)[0], tf.float32) if average == "clips" else total


def _plain(loss: Callable[..., Any]) -> Callable[..., Any]:
    return lambda config, logits, targets, weights: loss(logits, targets, weights, config.label_smoothing)


def _focal(loss: Callable[..., Any]) -> Callable[..., Any]:
    return lambda config, logits, targets, weights: loss(
        logits, targets, weights, config.label_smoothing, config.gamma, config.weighted_focus
    )


_LOSSES = {
    "cross_entropy": _plain(cross_entropy),
    "binary": _plain(binary_cross_entropy),
    "focal_softmax": _focal(focal_softmax),
    "focal_sigmoid": _focal(focal_sigmoid),
    "kl": _plain(kl_divergence),
    "squared": _plain(squared_error),
}
_OF_ONE_CLASS = ("cross_entropy", "focal_softmax", "kl")


def _spread(logits: Any, targets: Any, label_smoothing: float) -> Any:
    """Spread a share of the labels evenly over the classes."""
    import tensorflow as tf

    n_classes = tf.cast(tf.shape(logits)[-1], tf.float32)
    return (1 - label_smoothing) * targets + label_smoothing / n_classes


def _binary(logits: Any, targets: Any, class_weights: Any, label_smoothing: float) -> Any:
    import tensorflow as tf

    logits, targets, weights = _float32(logits, targets, class_weights)
    targets = (1 - label_smoothing) * targets + label_smoothing / 2
    return weights * tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)


def _focus(loss: Any, gamma: float) -> Any:
    """(1 - exp(-loss)) ** gamma, exact for small losses."""
    import tensorflow as tf

    return tf.pow(-tf.math.expm1(-loss), gamma) if gamma else tf.ones_like(loss)


def _float32(logits: Any, targets: Any, class_weights: Any) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    weights = tf.constant(1.0) if class_weights is None else tf.cast(class_weights, tf.float32)
    return tf.cast(logits, tf.float32), tf.cast(targets, tf.float32), weights
