"""Fewer columns than an embedding has: clusters are hard to see where every point is far from every other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.errors import ConfigError
from ecotf.registry import Registry

_BLOCK = 512
_KRYLOV = 160

Reducer = Callable[[np.ndarray, int], np.ndarray]
"""Takes float32 ``[n, columns]`` and a seed, gives float32 ``[n, fewer columns]``."""

REDUCERS: Registry[Reducer] = Registry("reduction")
"""All ways; an entry makes a `Reducer` from its config."""


class NoReductionConfig(Config):
    """Points as they are."""

    name: Literal["none"] = "none"


class PcaConfig(Config):
    """Principal components: the directions in which points vary most.

    Attributes
    ----------
    dimensions
        How many; fewer where there are fewer points or columns.
    """

    name: Literal["pca"] = "pca"
    dimensions: int = Field(32, ge=1)


class SpectralConfig(Config):
    """The slowest waves on a graph of neighbours, each point at length 1 (Ng, Jordan and Weiss, NeurIPS 2001).

    As UMAP it keeps neighbours together, and needs nothing but scikit-learn.

    Attributes
    ----------
    dimensions
        How many; fewer where there are hardly more points.
    neighbours
        How many neighbours of a point are joined to it, itself among them.
    """

    name: Literal["spectral"] = "spectral"
    dimensions: int = Field(10, ge=1)
    neighbours: int = Field(15, ge=2)


class UmapConfig(Config):
    """Neighbours stay neighbours (McInnes et al. 2018); needs the optional package umap-learn.

    Attributes
    ----------
    dimensions
        How many.
    neighbours
        How many neighbours of a point count.
    min_dist
        How near points may come to each other; for clustering 0.
    densmap
        Dense places stay dense (Narayan et al. 2021), as published for Darksound.
    """

    name: Literal["umap"] = "umap"
    dimensions: int = Field(10, ge=1)
    neighbours: int = Field(15, ge=2)
    min_dist: float = Field(0.0, ge=0, le=1)
    densmap: bool = False


@REDUCERS.register(NoReductionConfig)
def build_none(config: NoReductionConfig) -> Reducer:
    """Make the function that changes nothing."""
    return lambda points, seed: np.asarray(points, np.float32)


@REDUCERS.register(PcaConfig)
def build_pca(config: PcaConfig) -> Reducer:
    """Make the function that takes principal components."""

    def reduce(points: np.ndarray, seed: int) -> np.ndarray:
        from sklearn.decomposition import PCA

        most = min(config.dimensions, *points.shape)
        if most == points.shape[1] or len(points) < 2:
            return np.asarray(points, np.float32)
        return np.asarray(PCA(most, random_state=seed).fit_transform(np.asarray(points, np.float64)), np.float32)

    return reduce


@REDUCERS.register(SpectralConfig)
def build_spectral(config: SpectralConfig) -> Reducer:
    """Make the function that takes waves on the graph of neighbours."""

    def reduce(points: np.ndarray, seed: int) -> np.ndarray:
        if len(points) <= config.dimensions + 2 or not np.ptp(points, axis=0).any():
            return np.asarray(points, np.float32)
        found = _slowest_waves(_connected(np.asarray(points, np.float64), config.neighbours), config.dimensions, seed)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(length > 0, length, 1.0), np.float32)

    return reduce


def _connected(points: np.ndarray, neighbours: int) -> Any:
    """Join each point to its neighbours, and each part that nothing joins to the others by its shortest way there.

    Of several parts the slowest waves would be equally slow, and none of them could be told from its mixtures.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import kneighbors_graph

    graph = kneighbors_graph(points, min(neighbours, len(points) - 1), include_self=True)
    graph = 0.5 * (graph + graph.T)
    squares = (points**2).sum(axis=1)
    while (found := connected_components(graph, directed=False))[0] > 1:
        part = found[1]
        least = np.flatnonzero(part == np.argmin(np.bincount(part)))
        others = np.flatnonzero(part != part[least[0]])
        best = (np.inf, 0, 0)
        for at in range(0, len(least), _BLOCK):
            some = least[at : at + _BLOCK]
            away = squares[some, None] + squares[others] - 2 * (points[some] @ points[others].T)
            row, column = np.unravel_index(away.argmin(), away.shape)
            best = min(best, (float(away[row, column]), int(some[row]), int(others[column])))
        _, one, other = best
        graph = graph + coo_matrix(([0.5, 0.5], ([one, other], [other, one])), graph.shape)
    return graph


def _slowest_waves(graph: Any, dimensions: int, seed: int) -> np.ndarray:
    """Return the slowest waves on a connected graph, after the constant one: float64 ``[n, dimensions]``.

    They are those of scikit-learn's ``SpectralEmbedding``, which factorises the graph: of 20,000 points, for minutes.
    """
    from scipy.sparse import diags
    from scipy.sparse.linalg import eigsh

    size, graph = graph.shape[0], graph - diags(graph.diagonal())
    root = np.sqrt(np.asarray(graph.sum(axis=1)).ravel())
    even = diags(1 / root) @ graph @ diags(1 / root)
    start = np.random.default_rng(seed).uniform(-1, 1, size)
    # Many Krylov vectors: of clusters far apart, as many waves are almost equally slow.
    values, waves = eigsh(even, min(dimensions + 1, size - 2), which="LA", v0=start, ncv=min(size - 1, _KRYLOV))
    return np.asarray(waves[:, np.argsort(-values)[1:]] / root[:, None])


@REDUCERS.register(UmapConfig)
def build_umap(config: UmapConfig) -> Reducer:
    """Make the function that embeds a graph of neighbours; raises `ConfigError` where umap-learn is not installed."""
    require_umap()

    def reduce(points: np.ndarray, seed: int) -> np.ndarray:
        import umap

        if len(points) <= config.dimensions + 2:
            raise ConfigError(
                f"reduce: umap to {config.dimensions} dimensions of {len(points)} points; more points than "
                "dimensions + 2 are needed; allowed: fewer reduce.dimensions, or reduce.name=pca"
            )
        found = umap.UMAP(
            n_components=config.dimensions,
            n_neighbors=min(config.neighbours, len(points) - 1),
            min_dist=config.min_dist,
            densmap=config.densmap,
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(found.fit_transform(np.asarray(points, np.float32)), np.float32)

    return reduce


def has_umap() -> bool:
    """Whether umap-learn is installed; it is not loaded."""
    from importlib.util import find_spec

    return find_spec("umap") is not None


def require_umap() -> None:
    """Refuse to go on without umap-learn; raises `ConfigError`."""
    if not has_umap():
        raise ConfigError(
            "reduce: umap needs the package umap-learn, which is not installed; run pip install 'ecotf[umap]', or "
            "choose reduce.name=pca"
        )


if TYPE_CHECKING:
    ReduceConfig = NoReductionConfig | PcaConfig | SpectralConfig | UmapConfig
else:
    ReduceConfig = REDUCERS.config_type()


def reduce_points(points: np.ndarray, config: ReduceConfig, seed: int) -> np.ndarray:
    """Reduce the columns of points.

    Parameters
    ----------
    points
        float ``[n, columns]``, without NaN.

    Returns
    -------
    float32 ``[n, fewer columns]``

    Raises
    ------
    ConfigError
        umap-learn is not installed, or there are fewer points than it needs.

    Examples
    --------
    >>> line = np.outer(np.arange(5.0), [3.0, 4.0])
    >>> np.abs(np.diff(reduce_points(line, PcaConfig(dimensions=1), 0), axis=0)).round(3).ravel().tolist()
    [5.0, 5.0, 5.0, 5.0]
    """
    return REDUCERS.build(config)(np.asarray(points, np.float32), seed)
