"""Backbones, one a file: a Keras model from a patch ``(batch, columns, bands, 1)`` to an embedding ``(batch, e)``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ecotf.models.backbones.cnn import CnnConfig, build_cnn
from ecotf.models.backbones.field_cnn import FieldCnnConfig, build_field_cnn
from ecotf.models.backbones.resnet50 import ResNet50Config, build_resnet50

BackboneConfig = Annotated[CnnConfig | FieldCnnConfig | ResNet50Config, Field(discriminator="name")]


def build_backbone(config: CnnConfig | FieldCnnConfig | ResNet50Config, columns: int, bands: int) -> Any:
    """Build the backbone that ``config`` names, for patches of ``columns`` time steps and ``bands`` frequency bands."""
    if isinstance(config, CnnConfig):
        return build_cnn(config, columns, bands)
    if isinstance(config, FieldCnnConfig):
        return build_field_cnn(config, columns, bands)
    return build_resnet50(config, columns, bands)
