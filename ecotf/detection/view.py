"""The stretch of a spectrogram that is searched for candidates at once, and the candidates found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ecotf.detection.gate import open_patches
from ecotf.detection.scoring import PatchDetector, Stopwatch

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("start_s", "end_s", "low_hz", "high_hz", "label", "score", "detection_score")
"""Columns of a table of candidates or detections. ``score`` is that of the label, ``detection_score`` that there is a
call or another event at all."""


def no_detections() -> pd.DataFrame:
    """A table of detections without a row."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series([], dtype=str if name == "label" else float) for name in COLUMNS})


def in_order(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of detections, in order of time."""
    import pandas as pd

    return pd.concat([no_detections(), *tables]).sort_values(["start_s", "label"], ignore_index=True)


@dataclass(frozen=True)
class View:
    """A stretch of a spectrogram: candidates come from its middle, the rest is their context.

    Attributes
    ----------
    values
        float32 ``[slices, rows]``.
    reaches
        bool ``[slices]``: which reach the gate; None without a gate.
    start, stop
        The slices of ``values`` from which candidates are wanted.
    base
        Slices of the recording before ``values``.
    hop_s
        Seconds between slices.
    """

    values: np.ndarray
    reaches: np.ndarray | None
    start: int
    stop: int
    base: int
    hop_s: float

    def is_open(self, centres: np.ndarray, detector: PatchDetector, watch: Stopwatch) -> np.ndarray:
        """Which patches around ``centres`` the gate lets through, bool ``[n]``; without a gate, all."""
        if self.reaches is None:
            return np.ones(len(centres), bool)
        is_open = open_patches(self.reaches, centres, detector.patches.slices(detector.front_end.hop_s))
        watch.skipped += int((~is_open).sum())
        return is_open


class Found(NamedTuple):
    """Candidates: boxes ``[n, 4]`` in slices of the view and rows, and of each its label and its two scores ``[n]``."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    detection_scores: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]]) -> Found:
        """Join ``(label, boxes, scores, detection scores)``."""
        return cls(
            np.concatenate([np.empty((0, 4), int), *(part[1] for part in parts)]),
            np.repeat(np.array([part[0] for part in parts], str), [len(part[1]) for part in parts]),
            np.concatenate([np.empty(0), *(part[2] for part in parts)]),
            np.concatenate([np.empty(0), *(part[3] for part in parts)]),
        )


def may_be_named(detector: PatchDetector, scores: np.ndarray, index: int) -> np.ndarray:
    """Where a species may be named: where it is likelier than no call, or where the first network finds a call.

    As published.
    """
    return scores[:, 0] < 0.5 if detector.is_cascade else scores[:, 1 + index] > scores[:, 0]
