"""The head of BirdCLEF 2024 that pools frames by attention; the network is that of ``sed``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS
from ecotf.models.heads.sed import AttentionOverFrames, build_sed


class AttentionHeadConfig(AttentionOverFrames):
    """The same as ``sed`` with less dropout (in BirdCLEF 2024 it also stayed on when predicting; here it does not)."""

    name: Literal["attention"] = "attention"
    dropout: float = Field(0.3, ge=0, lt=1)


HEADS.register(AttentionHeadConfig)(build_sed)
