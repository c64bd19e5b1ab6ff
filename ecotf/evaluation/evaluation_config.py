"""How a trained model is judged: the part of a recipe's ``evaluation`` that all tasks share."""

from __future__ import annotations

from pydantic import Field

from ecotf.config import Config


class EvaluationConfig(Config):
    """How detections are judged.

    Attributes
    ----------
    tolerance_s
        A detection hits when its middle lies in an annotation widened by this much on either side.
    bootstrap
        Resamplings of the recordings behind each 95 % interval.
    """

    tolerance_s: float = Field(0.010, ge=0)
    bootstrap: int = Field(1000, ge=1)
