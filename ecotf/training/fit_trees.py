"""Fit trees on the embedding of a fitted network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ecotf.config import Config
from ecotf.errors import DataError
from ecotf.models.heads.trees import Trees, TreesConfig, fit_trees
from ecotf.models.network import Network
from ecotf.pipelines.batches import window_batches
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.pipelines.windows import WindowsConfig, WindowTable
from ecotf.training.progress import Tell


class FitTreesStage(Config):
    """Fit the trees of the recipe on the embedding of its network."""

    name: Literal["fit_trees"] = "fit_trees"


def embed_windows(
    network: Network,
    table: WindowTable,
    spectrograms: Sequence[StoredSpectrogram],
    windows: WindowsConfig,
    scores: bool = False,
) -> np.ndarray:
    """Embedding of every window of ``table``, followed by the network's ``scores`` if asked for: float32 ``[n, e]``."""
    import tensorflow as tf

    model = network.both if scores else network.backbone
    embed = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    nothing = np.zeros((len(table), 1), np.float32)
    batches = window_batches(table, nothing, nothing[:, 0], spectrograms, windows, batch=256)
    return np.concatenate([np.asarray(embed(x)) for x, _, _ in batches])


def fit_trees_stage(
    config: TreesConfig,
    network: Network,
    table: WindowTable,
    spectrograms: Sequence[StoredSpectrogram],
    windows: WindowsConfig,
    seed: int,
    threads: int,
    tell: Tell,
    measures: np.ndarray | None = None,
) -> Trees:
    """Embed the training windows and fit the trees on them, and on the pulses' ``measures`` if there are any.

    Raises
    ------
    DataError
        There is no window: nothing in the training recordings is a pulse.
    """
    features, targets = tree_features(network, table, spectrograms, windows, measures)
    return fit_trees_on(config, features, targets, seed, threads, tell)


def tree_features(
    network: Network,
    table: WindowTable,
    spectrograms: Sequence[StoredSpectrogram],
    windows: WindowsConfig,
    measures: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What the trees are fitted on: the features of every window, float32 ``[n, f]``, and its targets ``[n, k]``."""
    if not len(table):
        raise DataError("trees: the training recordings hold no pulse to learn from; lower pulses.floor")
    embedding = embed_windows(network, table, spectrograms, windows, scores=measures is not None)
    features = embedding if measures is None else np.hstack([embedding, measures])
    return features, table.targets(network.config.head.answers)


def fit_trees_on(
    config: TreesConfig, features: np.ndarray, targets: np.ndarray, seed: int, threads: int, tell: Tell
) -> Trees:
    """Fit the trees on what `tree_features` gave."""
    trees = fit_trees(config, features, targets, seed, threads, lambda done, of: tell(f"trees: classifier {done}/{of}"))
    tell(f"trees: {trees.n_trees} on {len(features)} windows of {features.shape[1]} numbers")
    return trees
