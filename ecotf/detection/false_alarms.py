"""False alarms: what a model takes for an event where none is near. Mining learns from them, in both tasks."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ecotf.config import Config


class FalseAlarmsConfig(Config):
    """What counts as a false alarm.

    Attributes
    ----------
    score
        Something that is not there is mined above this score.
    distance_s
        A detection this far from every annotation is a false one.
    """

    score: float = Field(0.5, gt=0, lt=1)
    distance_s: float = Field(0.00767, gt=0)


def far_from_all(at: np.ndarray, starts: np.ndarray, ends: np.ndarray, distance_s: float) -> np.ndarray:
    """Mark the moments ``at`` [n] that are at least ``distance_s`` from every annotation, bool ``[n]``.

    Examples
    --------
    >>> far_from_all(np.array([1.0, 2.05, 3.0]), np.array([1.5]), np.array([2.0]), 0.1)
    array([ True, False,  True])
    """
    near = (at[:, None] > starts - distance_s) & (at[:, None] < ends + distance_s)
    return np.asarray(~near.any(axis=1))
