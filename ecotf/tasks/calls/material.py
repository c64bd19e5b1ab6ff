"""The training data of the stages of a call detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ecotf.models.heads.trees import TreesConfig
from ecotf.pipelines.patches import PatchesConfig, PatchTable
from ecotf.pipelines.spectrogram_store import StoredSpectrogram

PeaksOfTraining = Callable[[], tuple[PatchTable, np.ndarray]]
"""Gives every peak of the training recordings, and the measures of each, ``[n, m]``."""


@dataclass(frozen=True)
class Material:
    """Patches of training and validation recordings, and the recipe's words on them.

    Attributes
    ----------
    train, valid
        Patches; their ``recording`` indexes ``spectrograms``.
    patches
        How they are cut.
    seed
        Of the recipe.
    trees
        Settings of the trees; None where the recipe has none.
    every_peak
        For trees that learn from every peak; None where they learn from ``train``.
    """

    train: PatchTable
    valid: PatchTable
    spectrograms: Sequence[StoredSpectrogram]
    patches: PatchesConfig
    seed: int
    trees: TreesConfig | None = None
    every_peak: PeaksOfTraining | None = None
