"""Heads of clips: from a feature map ``(batch, t, f, c)`` to logits of classes, for the clip and for its frames."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ecotf.errors import ConfigError
from ecotf.models.heads.chrononet import (
    ChronoNetHeadConfig,
    InceptionChronoNetHeadConfig,
    build_chrononet,
    build_inception_chrononet,
)
from ecotf.models.heads.gem import GemHeadConfig, build_gem
from ecotf.models.heads.sed import AttentionHeadConfig, SedHeadConfig, build_sed

_Any = SedHeadConfig | AttentionHeadConfig | GemHeadConfig | ChronoNetHeadConfig | InceptionChronoNetHeadConfig
ImageHeadConfig = Annotated[_Any, Field(discriminator="name")]

# The layers whose weights have a row for each class: their last axis, in every head.
CLASS_LAYERS = ("classes", "class_attention")


def build_head(
    config: _Any, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool = False
) -> Any:
    """Build the head that ``config`` names.

    Parameters
    ----------
    feature_shape
        ``(t, f, c)`` of the feature map; t may be None unless ``config.fixed_length``.
    probabilities
        Give probabilities in place of logits, by the shorter way: for a device.

    Returns
    -------
    keras.Model
        ``(batch, t, f, c)`` to a dict of float32: ``clip`` ``(batch, classes)``, and of ``sed`` and ``attention`` also
        ``frames`` ``(batch, t, classes)``.

    Raises
    ------
    ConfigError
        There is no class; a head of fixed length does not know it.
    """
    if n_classes < 1:
        raise ConfigError(f"head {config.name}: {n_classes} classes; allowed: at least one")
    if feature_shape[0] is None and config.fixed_length:
        raise ConfigError(f"head {config.name}: works on clips of one length; say how many frames its images have")
    if isinstance(config, SedHeadConfig | AttentionHeadConfig):
        return build_sed(config, feature_shape, n_classes, probabilities)
    if isinstance(config, GemHeadConfig):
        return build_gem(config, feature_shape, n_classes, probabilities)
    if isinstance(config, ChronoNetHeadConfig):
        return build_chrononet(config, feature_shape, n_classes, probabilities)
    return build_inception_chrononet(config, feature_shape, n_classes, probabilities)
