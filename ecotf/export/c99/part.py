"""The part of a run that ``--target c`` translates."""

from __future__ import annotations

from dataclasses import dataclass

from ecotf.features.spectrogram import BandSpectrogramConfig
from ecotf.models.heads.trees import Trees


@dataclass(frozen=True)
class NetworkPart:
    """A network that sees patches, and the trees behind it.

    Attributes
    ----------
    outputs
        What the network must give: the scores, or the outputs that the trees need.
    measured
        Whether the trees look at measures of the peak, too.
    front_end
        How the board must make the spectrogram.
    """

    outputs: tuple[str, ...]
    trees: Trees | None
    measured: bool
    front_end: BandSpectrogramConfig
