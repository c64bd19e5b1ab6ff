"""What a user may choose of a clustering besides its recipe."""

from __future__ import annotations

from dataclasses import dataclass

from ecotf.audio.channels import ChannelChoice
from ecotf.regions.config import RoiConfig

REGIONS = "regions"
"""The folder of the regions of interest, inside the folder of clusters."""


@dataclass(frozen=True)
class ClusterOptions:
    """What a user may choose besides the recipe.

    Attributes
    ----------
    channel
        ``mix``, or a channel's number, counted from 1.
    time_expansion
        Stated by the user; None takes what the metadata say.
    salvage
        Use the beginning of recordings that are cut off.
    regions
        Cut regions of interest with these settings first, and cluster them; None clusters segments.
    threads
        Processor cores that a training uses.
    """

    channel: ChannelChoice = "mix"
    time_expansion: float | None = None
    salvage: bool = False
    regions: RoiConfig | None = None
    threads: int = 2
