"""Fit trees on the embedding of a fitted network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ecotf.config import Config
from ecotf.models.heads.trees import Trees, TreesConfig, fit_trees
from ecotf.models.network import Network
from ecotf.pipelines.batches import window_batches
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.pipelines.windows import WindowsConfig, WindowTable
from ecotf.training.progress import Tell


class FitTreesStage(Config):
    """Fit the trees of the recipe on the embedding of its network.

    Attributes
    ----------
    context
        Show the network each window with its surroundings, as it was trained.
    """

    name: Literal["fit_trees"] = "fit_trees"
    context: bool = True


def embed_windows(
    network: Network,
    table: WindowTable,
    spectrograms: Sequence[StoredSpectrogram],
    windows: WindowsConfig,
    context: bool,
) -> np.ndarray:
    """Embedding of every window of ``table``, in its order: float32 ``[n, e]``."""
    import tensorflow as tf

    margin = network.parts.context if context else 0
    skip, width = margin // network.parts.stride, network.parts.neck.input_shape[1]

    @tf.function
    def embed(x: Any) -> Any:
        maps = network.parts.trunk(x, training=False)
        return network.parts.neck(maps[:, skip : skip + width] if margin else maps, training=False)

    nothing = np.zeros((len(table), 1), np.float32)
    batches = window_batches(
        table, nothing, nothing[:, 0], spectrograms, windows, batch=256, context=margin * windows.reduce_time
    )
    return np.concatenate([np.asarray(embed(x)) for x, _, _ in batches])


def fit_trees_stage(
    stage: FitTreesStage,
    config: TreesConfig,
    network: Network,
    table: WindowTable,
    spectrograms: Sequence[StoredSpectrogram],
    windows: WindowsConfig,
    seed: int,
    threads: int,
    tell: Tell,
) -> Trees:
    """Embed the training windows and fit the trees on them."""
    embedding = embed_windows(network, table, spectrograms, windows, stage.context)
    targets = table.targets(network.config.head.answers)
    trees = fit_trees(
        config, embedding, targets, seed, threads, lambda done, of: tell(f"trees: classifier {done}/{of}")
    )
    tell(f"trees: {trees.n_trees} on {len(table)} windows of {embedding.shape[1]} numbers")
    return trees
