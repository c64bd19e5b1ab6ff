"""When a detection hits a call: by its middle, by how much both overlap, or by both edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ecotf.evaluation.matching import Floats


@dataclass(frozen=True)
class Overlap:
    """A detection and a call match when what they share is at least ``least_iou`` of what they cover together.

    That is one to one. The intersection criteria of sed_scores_eval (``dtc`` and ``gtc``, as in PSDS) let several
    detections find one event and one detection find several, so its F is another figure.
    """

    least_iou: float

    def distances(self, starts: Floats, ends: Floats, call_starts: Floats, call_ends: Floats) -> Floats:
        """Say how far each detection is from each call ``[D, C]``; infinite where they do not match."""
        shared = np.minimum(ends[:, None], call_ends) - np.maximum(starts[:, None], call_starts)
        shared = np.maximum(shared, 0)
        both = (ends - starts)[:, None] + (call_ends - call_starts) - shared
        iou = shared / np.maximum(both, 1e-12)
        return np.where(iou >= self.least_iou - 1e-9, 1 - iou, np.inf)


@dataclass(frozen=True)
class Collars:
    """They match when the starts are at most ``start_s`` apart, and the ends ``end_s`` or ``end_share`` of the call.

    As in sed_scores_eval and sed_eval. These pair as many as can be, at each threshold anew; here the best score
    chooses first, once for all thresholds: where several are within the collars there may be fewer hits, never more.
    """

    start_s: float
    end_s: float
    end_share: float = 0.0

    def distances(self, starts: Floats, ends: Floats, call_starts: Floats, call_ends: Floats) -> Floats:
        """Say how far each detection is from each call ``[D, C]``; infinite where they do not match."""
        early, late = np.abs(starts[:, None] - call_starts), np.abs(ends[:, None] - call_ends)
        allowed = np.maximum(self.end_s, self.end_share * (call_ends - call_starts))
        return np.where((early <= self.start_s + 1e-9) & (late <= allowed + 1e-9), early + late, np.inf)


Rule = float | Overlap | Collars
"""How a detection hits a call: a number is the tolerance of its middle, in seconds."""
