"""Heads, one a file: from what a backbone gives to scores.

To add one, write its file and import it here. Configs are light; Keras and XGBoost are loaded when a head is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecotf.errors import ConfigError
from ecotf.models.heads import (
    attention,
    chrononet,
    chrononet_inception,
    dense,
    events,
    gem,
    logistic,
    matching,
    mean_max,
    mlp,
    nearest_mean,
    panns,
    prototype,
    relation,
    ridge,
    sed,
    small_network,
    trees,
)
from ecotf.models.heads.base import HEADS, HeadConfig, TableHead, TableHeadConfig

if TYPE_CHECKING:
    ImageHead = HeadConfig
    EmbeddingsHead = TableHeadConfig
else:
    ImageHead = HEADS.config_type(takes="features")
    EmbeddingsHead = HEADS.config_type(takes="table")

__all__ = ["HEADS", "EmbeddingsHead", "HeadConfig", "ImageHead", "TableHead", "TableHeadConfig", "build_image_head"]

_ENTRIES = (
    attention, chrononet, chrononet_inception, dense, events, gem, logistic, matching, mean_max, mlp, nearest_mean,
    panns, prototype, relation, ridge, sed, small_network, trees,
)  # fmt: skip


def build_image_head(
    config: HeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool = False
) -> Any:
    """Build the head that ``config`` names, for the feature maps of images.

    Parameters
    ----------
    feature_shape
        ``(t, f, c)`` of the feature map; t may be None unless ``config.fixed_length``.
    probabilities
        Give probabilities in place of logits, by the shorter way: for a device.

    Returns
    -------
    keras.Model
        ``(batch, t, f, c)`` to a dict of float32: ``clip`` ``(batch, classes)`` and, where ``config.gives_frames``,
        ``frames`` ``(batch, t, classes)``.

    Raises
    ------
    ConfigError
        There is no class; a head of fixed length does not know it.

    Examples
    --------
    >>> from ecotf.models.heads.gem import GemHeadConfig
    >>> build_image_head(GemHeadConfig(), (None, 4, 32), 0)
    Traceback (most recent call last):
    ecotf.errors.ConfigError: head gem: 0 classes; allowed: at least one
    """
    if n_classes < 1:
        raise ConfigError(f"head {config.name}: {n_classes} classes; allowed: at least one")
    if feature_shape[0] is None and config.fixed_length:
        raise ConfigError(f"head {config.name}: works on clips of one length; say how many frames its images have")
    return HEADS.build(config, feature_shape, n_classes, probabilities)
