"""Backbones, one family a file: a Keras model from a patch to an embedding, or from an image to a feature map.

To add one, write its file and import it here. Configs are light; Keras is loaded when a network is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecotf.errors import ConfigError
from ecotf.models.backbones import (
    cnn,
    cnn14,
    densenet121,
    efficientnet,
    field_cnn,
    mn,
    mobilenet_v1,
    mobilenet_v3,
    plain,
    resnet18,
    resnet34d,
    resnet38,
    resnet50,
    seresnext26t,
    small,
)
from ecotf.models.backbones.base import BACKBONES, BackboneConfig
from ecotf.models.backbones.weights import ImageBackboneConfig

if TYPE_CHECKING:
    PatchBackbone = BackboneConfig
    ImageBackbone = ImageBackboneConfig
else:
    PatchBackbone = BACKBONES.config_type(takes="patch")
    ImageBackbone = BACKBONES.config_type(takes="image")

__all__ = ["BACKBONES", "BackboneConfig", "ImageBackbone", "ImageBackboneConfig", "PatchBackbone", "build_backbone"]

_ENTRIES = (
    cnn, cnn14, densenet121, efficientnet, field_cnn, mn, mobilenet_v1, mobilenet_v3, plain, resnet18, resnet34d,
    resnet38, resnet50, seresnext26t, small,
)  # fmt: skip


def build_backbone(config: BackboneConfig, shape: tuple[int | None, int, int]) -> Any:
    """Build the backbone that ``config`` names, with fresh weights or those that it asks for.

    Parameters
    ----------
    shape
        ``(columns, bands, 1)`` of a patch; ``(frames, bands, channels)`` of an image, where ``frames`` may be None:
        the model takes any number.

    Returns
    -------
    keras.Model
        As ``config.takes`` says; see `BackboneConfig`.

    Raises
    ------
    ConfigError
        The patch or image is too small or has a wrong number of channels; the weights cannot be had.

    Examples
    --------
    >>> from ecotf.models.backbones.cnn import CnnConfig
    >>> build_backbone(CnnConfig(), (9, 4, 1))
    Traceback (most recent call last):
    ecotf.errors.ConfigError: backbone cnn: a patch of 9 columns by 4 bands is too small; allowed: at least 8 by 8
    """
    length, bands, channels = shape
    kind, along = ("an image", "frames") if config.takes == "image" else ("a patch", "columns")
    where = f"backbone {config.name}: {kind} of"
    if config.channels and channels not in config.channels:
        raise ConfigError(f"{where} {channels} channels; allowed: {' or '.join(map(str, config.channels))}")
    least = config.smallest
    if bands < least[1] or (length is not None and length < least[0]):
        size = f"{length or 'any'} {along} by {bands} bands"
        raise ConfigError(f"{where} {size} is too small; allowed: at least {least[0]} by {least[1]}")
    return BACKBONES.build(config, shape)
