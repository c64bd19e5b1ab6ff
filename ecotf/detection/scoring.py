"""Scores: a detector looks at patches of a spectrogram."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Literal, Protocol

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.pipelines.patches import PatchesConfig, cut_patches

# A network is as fast on 64 patches at a time as on more, and takes a quarter of the memory that it takes for 256;
# asking the trees costs as much for one row as for hundreds.
_BATCH = 64
_TREES_BATCH = 1024


class ScoringConfig(Config):
    """Where a recording is looked at.

    Attributes
    ----------
    at
        ``peaks``: one patch on every peak, some tens in a second. ``grid``: a patch every ``stride_s``; peaks are
        then found in the scores.
    stride_s
        For ``grid``; 0 looks at every slice, the published way, at about 1,723 patches a second.
    """

    at: Literal["peaks", "grid"] = "peaks"
    stride_s: float = Field(0.0, ge=0)


EXACT = ScoringConfig(at="grid", stride_s=0.0)
"""The published way."""


class HopLength(Protocol):
    """A front end, as far as patches are concerned."""

    @property
    def hop_s(self) -> float:
        """Seconds between slices."""


class PatchDetector(Protocol):
    """The methods that detection needs: a run's `ecotf.models.detector.Detector`, or an exported file at work."""

    @property
    def front_end(self) -> HopLength:
        """The spectrogram that patches are cut from."""

    @property
    def patches(self) -> PatchesConfig:
        """How patches are cut."""

    @property
    def species(self) -> tuple[str, ...]:
        """Class names."""

    @property
    def is_cascade(self) -> bool:
        """Whether species are named by a second network."""

    @property
    def needs_measures(self) -> bool:
        """Whether `combine` wants the measures of the peaks that the patches are on."""

    def run(self, patches: np.ndarray) -> list[np.ndarray]:
        """Outputs of the networks for patches ``[n, columns, bands, 1]``."""

    def combine(self, outputs: list[np.ndarray], measures: np.ndarray | None = None) -> np.ndarray:
        """Scores of those outputs, float32 ``[n, 1 + species]``: of "not a call", then of each species."""


@dataclass
class Stopwatch:
    """The work of detection so far, and the work that a gate has saved.

    Attributes
    ----------
    networks_s, trees_s
        Seconds in the networks and in the trees.
    patches, skipped
        Patches that were scored, and those that the gate kept from it.
    sound_s, passed_s
        Seconds of sound that came to the gate, and those passed over with no search for peaks.
    """

    networks_s: float = 0.0
    trees_s: float = 0.0
    patches: int = 0
    skipped: int = 0
    sound_s: float = 0.0
    passed_s: float = 0.0

    def add(self, other: Stopwatch) -> None:
        """Add what another one has counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def score_patches(
    detector: PatchDetector,
    values: np.ndarray,
    centres: np.ndarray,
    stopwatch: Stopwatch,
    measures: np.ndarray | None = None,
) -> np.ndarray:
    """Score patches of a spectrogram.

    Parameters
    ----------
    values
        float32 ``[slices, rows]``; outside of it all is zero.
    centres
        int ``[n]``, the slices that the patches are centred on.
    measures
        float32 ``[n, 11]``, of the peaks that the patches are on, where ``detector.needs_measures``.

    Returns
    -------
    float32 ``[n, 1 + species]``: the score of "not a call", then of each species.
    """
    slices = detector.patches.slices(detector.front_end.hop_s)
    scores = [np.empty((0, 1 + len(detector.species)), np.float32)]
    for at in range(0, len(centres), _TREES_BATCH):
        some, parts = centres[at : at + _TREES_BATCH], []
        for first in range(0, len(some), _BATCH):
            patches = cut_patches(values, some[first : first + _BATCH], slices, detector.patches)
            began = perf_counter()
            parts.append(detector.run(patches))
            stopwatch.networks_s += perf_counter() - began
        outputs = [np.concatenate(part) for part in zip(*parts, strict=True)]
        began = perf_counter()
        scores.append(detector.combine(outputs, None if measures is None else measures[at : at + _TREES_BATCH]))
        stopwatch.trees_s += perf_counter() - began
        stopwatch.patches += len(some)
    return np.concatenate(scores)
