"""Fit trees on the embedding of a fitted network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ecotf.errors import DataError
from ecotf.models.detector import Detector
from ecotf.models.heads.trees import Trees, TreesConfig, fit_trees
from ecotf.models.patch_network import Network
from ecotf.pipelines.patch_batches import patch_batches
from ecotf.pipelines.patches import PatchesConfig, PatchTable
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.tasks.calls.material import Material
from ecotf.training.run_store import Log
from ecotf.training.stages import STAGES, FitPlace, Fitted, StageConfig

if TYPE_CHECKING:
    pass


class FitTreesStage(StageConfig):
    """Fit the trees of the recipe on the embedding of its network."""

    learns_from: ClassVar[Literal["patches"]] = "patches"

    name: Literal["fit_trees"] = "fit_trees"

    @property
    def trains(self) -> tuple[str, ...]:
        """The trees."""
        return ("trees",)


@STAGES.register(FitTreesStage)
def fit_trees_stage(stage: FitTreesStage, detector: Detector, material: Material, place: FitPlace) -> Fitted:
    """Embed the training patches, or every peak, and fit the trees on them and, if asked for, the peaks' measures.

    Raises
    ------
    DataError
        There is no patch: nothing in the training recordings is a peak.
    """
    import pandas as pd

    config = material.trees
    assert config is not None  # the recipe has seen to it
    table, measures = (material.train, None) if material.every_peak is None else material.every_peak()
    features, targets = tree_features(
        detector.networks[0], table, material.spectrograms, material.patches, measures if config.measures else None
    )
    trees = fit_trees_on(config, features, targets, material.seed, place.threads, place.log)
    return Fitted(detector.with_trees(trees), pd.DataFrame())


def embed_patches(
    network: Network,
    table: PatchTable,
    spectrograms: Sequence[StoredSpectrogram],
    patches: PatchesConfig,
    scores: bool = False,
) -> np.ndarray:
    """Embedding of every patch of ``table``, followed by the network's ``scores`` if asked for: float32 ``[n, e]``."""
    import tensorflow as tf

    model = network.both if scores else network.backbone
    embed = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    nothing = np.zeros((len(table), 1), np.float32)
    batches = patch_batches(table, nothing, nothing[:, 0], spectrograms, patches, batch=256)
    return np.concatenate([np.asarray(embed(x)) for x, _, _ in batches])


def tree_features(
    network: Network,
    table: PatchTable,
    spectrograms: Sequence[StoredSpectrogram],
    patches: PatchesConfig,
    measures: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute what the trees are fitted on: the features of every patch, ``[n, f]``, and its targets ``[n, k]``.

    Calls of unknown species are left out: trees answer for the species and the call together.
    """
    if table.is_unnamed.any():
        named = np.flatnonzero(~table.is_unnamed)
        table, measures = table.take(named), None if measures is None else measures[named]
    if not len(table):
        raise DataError("trees: the training recordings hold no peak to learn from; lower peaks.floor")
    embedding = embed_patches(network, table, spectrograms, patches, scores=measures is not None)
    features = embedding if measures is None else np.hstack([embedding, measures])
    return features, table.targets(network.config.head.answers)


def fit_trees_on(
    config: TreesConfig, features: np.ndarray, targets: np.ndarray, seed: int, threads: int, log: Log
) -> Trees:
    """Fit the trees on what `tree_features` gave."""
    trees = fit_trees(config, features, targets, seed, threads, lambda done, of: log(f"trees: classifier {done}/{of}"))
    log(f"trees: {trees.n_trees} on {len(features)} patches of {features.shape[1]} numbers")
    return trees
