"""How a trained model is judged: the part of a recipe's ``evaluation`` that all tasks share."""

from __future__ import annotations

from pydantic import Field

from ecotf.config import Config
from ecotf.evaluation.psds import PsdsConfig


class EvaluationConfig(Config):
    """How detections are judged.

    Attributes
    ----------
    tolerance_s
        A detection hits when its middle lies in an annotation widened by this much on either side.
    collar_s, collar_share
        Where the edges of events are judged, those of a detection lie this near to those of the annotation, or, its
        end, within this part of the annotation's length.
    psds
        The settings of the polyphonic sound detection score.
    bootstrap
        Resamplings of the recordings behind each 95 % interval.
    """

    tolerance_s: float = Field(0.010, ge=0)
    collar_s: float = Field(0.010, ge=0)
    collar_share: float = Field(0.0, ge=0, lt=1)
    psds: PsdsConfig = PsdsConfig()
    bootstrap: int = Field(1000, ge=1)
