"""Backbones of clips, one family a file: from an image ``(batch, frames, bands, channels)`` to a feature map.

A feature map is ``(batch, t, f, c)``. The number of frames is free: a backbone takes clips of any length.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ecotf.errors import ConfigError
from ecotf.models.backbones.efficientnet import EfficientNetConfig, build_efficientnet
from ecotf.models.backbones.mobilenet_v3 import MobileNetV3Config, build_mobilenet_v3
from ecotf.models.backbones.resnet34d import ResNet34dConfig, build_resnet34d
from ecotf.models.backbones.seresnext26t import SeResNext26tConfig, build_seresnext26t
from ecotf.models.backbones.small import SmallConfig, build_small

_Any = EfficientNetConfig | MobileNetV3Config | ResNet34dConfig | SeResNext26tConfig | SmallConfig
ImageBackboneConfig = Annotated[_Any, Field(discriminator="name")]

SMALLEST = 32  # frames and bands: every backbone halves both five times, or time four times


def build_image_backbone(config: _Any, frames: int | None, bands: int, channels: int) -> Any:
    """Build the backbone that ``config`` names.

    Parameters
    ----------
    frames
        Of the clips it is built for, or None if that is not known; the model takes any number.
    channels
        1 or 3.

    Returns
    -------
    keras.Model
        ``(batch, any, bands, channels) -> (batch, t, f, c)``.

    Raises
    ------
    ConfigError
        The image is too small; the weights cannot be had.
    """
    if channels not in (1, 3):
        raise ConfigError(f"backbone {config.name}: an image of {channels} channels; allowed: 1 or 3")
    if bands < SMALLEST or (frames is not None and frames < SMALLEST):
        raise ConfigError(
            f"backbone {config.name}: an image of {frames or 'any'} frames by {bands} bands is too small; "
            f"allowed: at least {SMALLEST} by {SMALLEST}"
        )
    if isinstance(config, EfficientNetConfig):
        return build_efficientnet(config, bands, channels)
    if isinstance(config, MobileNetV3Config):
        return build_mobilenet_v3(config, bands, channels)
    if isinstance(config, ResNet34dConfig):
        return build_resnet34d(config, bands, channels)
    if isinstance(config, SeResNext26tConfig):
        return build_seresnext26t(config, bands, channels)
    return build_small(config, bands, channels)
