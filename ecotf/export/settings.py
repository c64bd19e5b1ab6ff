"""The settings of an export that a user may choose."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ecotf.config import Config
from ecotf.export.stages.sound import SoundType
from ecotf.export.stages.stage import Precision


class ExportSettings(Config):
    """The settings by which a run becomes a model for a device.

    Attributes
    ----------
    precision
        Of the networks; the front end and the trees are always float32.
    rate
        Sample rate of the sound that the device will give, in Hz.
    sound
        Type of its samples.
    embedding
        Whether the network's embedding is an output, too.
    profile
        ``birdnet-go``: as a custom model of BirdNET-Go.
    """

    precision: Precision = "f32"
    rate: int = Field(384_000, gt=0)
    sound: SoundType = "int16"
    embedding: bool = False
    profile: Literal["ecotf", "birdnet-go"] = "ecotf"
