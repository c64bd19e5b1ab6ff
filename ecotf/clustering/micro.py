"""Many small clusters that stand for a million points: k-means over rows that are read in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from ecotf.clustering.methods import NOISE

BLOCK = 8192
"""Rows that are read and compared together."""
_BATCHES = 30


class Rows(Protocol):
    """Rows of numbers that need not fit into memory, such as a folder of embeddings."""

    def __len__(self) -> int:
        """Return how many there are."""

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Read some: float32 ``[n, columns]``."""

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, np.ndarray]]:
        """Yield all in order: the number of the first row of a block, and the block ``[size, columns]``."""


class MicroClusters(NamedTuple):
    """Small clusters.

    Attributes
    ----------
    centres
        float32 ``[k, columns]``.
    weights
        How many rows each has, float64 ``[k]``; none is empty.
    nearest
        The centre of each row, int32 ``[n]``; `NOISE` for rows with NaN or infinity.
    """

    centres: np.ndarray
    weights: np.ndarray
    nearest: np.ndarray


def micro_clusters(rows: Rows, k: int, seed: int) -> MicroClusters:
    """Find small clusters with k-means on random batches (Sculley, WWW 2010), and the nearest centre of every row.

    Memory holds a block, the centres and a number for each row.

    Parameters
    ----------
    rows
        On one scale.
    k
        How many clusters at most.
    seed
        The same seed gives the same centres.
    """
    from sklearn.cluster import MiniBatchKMeans

    rng, n = np.random.default_rng(seed), len(rows)
    first = _usable(rows, rng.choice(n, min(n, max(2 * k, BLOCK)), replace=False))
    start = first[np.sort(rng.choice(len(first), min(k, len(first)), replace=False))]
    model = MiniBatchKMeans(
        len(start), init=start, n_init=1, batch_size=BLOCK, reassignment_ratio=0.0, random_state=seed
    )
    for _ in range(_BATCHES):
        batch = _usable(rows, rng.choice(n, min(n, BLOCK), replace=False))
        if len(batch) >= len(start):
            model.partial_fit(batch)
    if not hasattr(model, "cluster_centers_"):
        model.fit(start)
    nearest = np.full(n, NOISE, np.int32)
    for at, block in rows.blocks(BLOCK):
        good = np.isfinite(block).all(axis=1)
        if good.any():
            nearest[at : at + len(block)][good] = model.predict(np.asarray(block[good], np.float32))
    used, moved, counts = np.unique(nearest[nearest != NOISE], return_inverse=True, return_counts=True)
    nearest[nearest != NOISE] = moved
    return MicroClusters(np.asarray(model.cluster_centers_[used], np.float32), counts.astype(np.float64), nearest)


def _usable(rows: Rows, positions: np.ndarray) -> np.ndarray:
    found = np.asarray(rows.rows(np.sort(positions)), np.float32)
    return found[np.isfinite(found).all(axis=1)]
