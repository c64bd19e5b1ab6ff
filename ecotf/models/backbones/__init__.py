"""Backbones, one a file. Each gives a trunk that can run over any length of time and a neck that sees one window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ecotf.models.backbones.cnn import CnnConfig, build_cnn
from ecotf.models.backbones.field_cnn import FieldCnnConfig, build_field_cnn
from ecotf.models.backbones.resnet50 import ResNet50Config, build_resnet50

if TYPE_CHECKING:
    from ecotf.models.backbones.parts import BackboneParts

BackboneConfig = Annotated[CnnConfig | FieldCnnConfig | ResNet50Config, Field(discriminator="name")]


def build_backbone(config: CnnConfig | FieldCnnConfig | ResNet50Config, columns: int, rows: int) -> BackboneParts:
    """Build the backbone that ``config`` names, for windows of ``columns`` time steps and ``rows`` frequency bands."""
    if isinstance(config, CnnConfig):
        return build_cnn(config, columns, rows)
    if isinstance(config, FieldCnnConfig):
        return build_field_cnn(config, columns, rows)
    return build_resnet50(config, columns, rows)
