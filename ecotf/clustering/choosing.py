"""From rows of numbers to clusters: scale, reduce, cluster in several ways, and choose one without labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ecotf.clustering.methods import NOISE, ClusterConfig, Found, HdbscanConfig, find_clusters
from ecotf.clustering.micro import BLOCK, MicroClusters, Rows, micro_clusters
from ecotf.clustering.reduction import PcaConfig, ReduceConfig, reduce_points
from ecotf.clustering.scaling import FittedScale, RowScale, fit_scale
from ecotf.clustering.validity import density_validity, stability
from ecotf.config import Config
from ecotf.errors import DataError

Choice = Literal["dbcv", "relative_validity", "stability"]


class MicroConfig(Config):
    """When rows are too many to be clustered one by one, small clusters of them are.

    Attributes
    ----------
    over
        More rows than this are too many.
    clusters
        How many small clusters k-means makes of them.
    """

    over: int = Field(20_000, ge=100)
    clusters: int = Field(5000, ge=10)


class ClusteringConfig(Config):
    """How rows of numbers become clusters.

    Attributes
    ----------
    scale
        See `ecotf.clustering.scaling.fit_scale`.
    reduce, cluster
        How columns become fewer, and the method.
    dimensions, min_sizes
        Several values of ``reduce.dimensions`` and ``cluster.min_size`` to choose from; empty: the one that is stated.
    choose
        The figure that is greatest for the chosen one; no label is ever looked at.
    micro
        What is done with very many rows.
    resamples
        Clusterings of random parts by which stability is measured; 0: it is not.
    """

    scale: RowScale = "unit"
    reduce: ReduceConfig = PcaConfig.model_validate({})
    cluster: ClusterConfig = HdbscanConfig.model_validate({})
    dimensions: tuple[int, ...] = ()
    min_sizes: tuple[int, ...] = ()
    choose: Choice = "dbcv"
    micro: MicroConfig = MicroConfig.model_validate({})
    resamples: int = Field(10, ge=0)

    @model_validator(mode="after")
    def _can_be_varied(self) -> ClusteringConfig:
        for key, part, field in (("dimensions", self.reduce, "dimensions"), ("min_sizes", self.cluster, "min_size")):
            if getattr(self, key) and field not in type(part).model_fields:
                raise ValueError(f"{key}: {part.name} has no {field}; leave {key} empty")
        if self.choose == "stability" and not self.resamples:
            raise ValueError("choose = 'stability' needs resamples, at least 1")
        return self

    @property
    def least(self) -> int:
        """Of fewer rows there can be no cluster."""
        sizes = self.min_sizes or (getattr(self.cluster, "min_size", 3),)
        return max(3, min(sizes))


@dataclass(frozen=True)
class Candidate:
    """One way to cluster, and what is known of its clusters without labels.

    Attributes
    ----------
    noise
        The share of rows left out.
    """

    dimensions: int
    min_size: int
    clusters: int
    noise: float
    dbcv: float
    relative_validity: float
    stability: float = math.nan


@dataclass(frozen=True)
class Clustering:
    """Clusters of rows.

    Attributes
    ----------
    labels
        int64 ``[n]``; clusters are counted from 0, the largest first; noise is -1.
    probability
        float32 ``[n]``
    candidates
        All that were compared.
    chosen
        Which of them this is.
    points
        What was clustered: rows, scaled and reduced, or the centres of small clusters of them; float32.
    point_of
        The point of each row, int ``[n]``; -1 for a row with NaN.
    weights
        How many rows each point stands for; None: one.
    """

    labels: np.ndarray
    probability: np.ndarray
    candidates: tuple[Candidate, ...]
    chosen: int
    points: np.ndarray
    point_of: np.ndarray
    weights: np.ndarray | None

    @property
    def figures(self) -> dict[str, Any]:
        """Those of the chosen one."""
        return asdict(self.candidates[self.chosen])


class _Scaled:
    """Rows on one scale; what is read is scaled."""

    def __init__(self, rows: Rows, scale: FittedScale) -> None:
        self._rows, self._scale = rows, scale

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        return self._scale(self._rows.rows(positions))

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, np.ndarray]]:
        for at, block in self._rows.blocks(size):
            yield at, self._scale(block)


def cluster_rows(rows: Rows, config: ClusteringConfig, seed: int, log: Callable[[str], None]) -> Clustering:
    """Cluster rows.

    Parameters
    ----------
    rows
        float ``[n, columns]``; those with NaN or infinity are noise, and are counted in a line of ``log``.
    seed
        The same seed gives the same clusters.

    Raises
    ------
    DataError
        There are fewer rows than the smallest cluster has.
    ConfigError
        An optional package is missing.
    """
    finite = np.zeros(len(rows), bool)
    for at, block in rows.blocks(BLOCK):
        finite[at : at + len(block)] = np.isfinite(block).all(axis=1)
    if not finite.all():
        log(f"{int((~finite).sum())} of {len(finite)} embeddings hold numbers that are none (NaN): they are noise")
    if finite.sum() < config.least:
        key = "min_sizes" if config.min_sizes else "cluster.min_size"
        raise DataError(
            f"{int(finite.sum())} clips cannot be clustered: the smallest cluster has {config.least} "
            f"(clustering.{key}); give more recordings, or a smaller number"
        )
    scaled = _Scaled(rows, fit_scale((block[np.isfinite(block).all(axis=1)] for _, block in rows.blocks(BLOCK)),
                                     config.scale))  # fmt: skip
    weights: np.ndarray | None = None
    if finite.sum() > config.micro.over:
        log(f"{len(rows):,} clips: k-means to {config.micro.clusters:,} small clusters first")
        micro: MicroClusters = micro_clusters(scaled, config.micro.clusters, seed)
        points, weights, point_of = micro.centres, micro.weights, micro.nearest
    else:
        points = scaled.rows(np.flatnonzero(finite))
        point_of = np.full(len(rows), NOISE)
        point_of[finite] = np.arange(len(points))
    return _best(points, point_of, weights, config, seed)


def _best(
    points: np.ndarray, point_of: np.ndarray, weights: np.ndarray | None, config: ClusteringConfig, seed: int
) -> Clustering:
    found: list[tuple[Candidate, Found, np.ndarray, ClusterConfig]] = []
    for dimensions in config.dimensions or (None,):
        update = {} if dimensions is None else {"dimensions": dimensions}
        reduced = reduce_points(points, config.reduce.model_copy(update=update), seed)
        for size in config.min_sizes or (None,):
            method = config.cluster if size is None else config.cluster.model_copy(update={"min_size": size})
            clusters = find_clusters(reduced, method, weights)
            candidate = _judged(reduced, clusters, method, weights, seed)
            if config.choose == "stability":
                candidate = _with_stability(candidate, reduced, clusters, method, weights, config, seed)
            found.append((candidate, clusters, reduced, method))
    chosen = choose([candidate for candidate, *_ in found], config.choose)
    candidates = [candidate for candidate, *_ in found]
    best, clusters, reduced, method = found[chosen]
    if config.resamples and math.isnan(best.stability):
        candidates[chosen] = _with_stability(best, reduced, clusters, method, weights, config, seed)
    labels, probability = by_size(clusters, weights)
    inside = point_of != NOISE
    of_rows, sure = np.full(len(point_of), NOISE, np.int64), np.zeros(len(point_of), np.float32)
    of_rows[inside], sure[inside] = labels[point_of[inside]], probability[point_of[inside]]
    return Clustering(of_rows, sure, tuple(candidates), chosen, reduced, point_of, weights)


def choose(candidates: list[Candidate], figure: Choice) -> int:
    """Return which candidate has the greatest figure; of those without, the one that leaves the least out.

    Where no candidate has two clusters there is no figure to choose by.
    """
    values = np.array([getattr(one, figure) for one in candidates], float)
    if np.isfinite(values).any():
        return int(np.nanargmax(values))
    other = np.array([one.dbcv for one in candidates], float)  # centres have no relative validity
    if np.isfinite(other).any():
        return int(np.nanargmax(other))
    return int(np.argmin([one.noise for one in candidates]))


def by_size(found: Found, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Number clusters anew, the largest first: labels and probability."""
    labels = found.labels
    inside = labels != NOISE
    if not inside.any():
        return labels, found.probability
    sizes = np.bincount(labels[inside], None if weights is None else weights[inside])
    number = np.empty(len(sizes), np.int64)
    number[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return np.where(inside, number[np.maximum(labels, 0)], NOISE), found.probability


def _judged(
    points: np.ndarray, found: Found, method: ClusterConfig, weights: np.ndarray | None, seed: int
) -> Candidate:
    outside = found.labels == NOISE
    noise = float(np.average(outside, weights=weights))
    count = len(np.unique(found.labels[~outside]))
    least = int(getattr(method, "min_size", 0))
    return Candidate(
        points.shape[1], least, count, noise, density_validity(points, found.labels, seed), found.relative_validity
    )


def _with_stability(
    candidate: Candidate, points: np.ndarray, found: Found, method: ClusterConfig, weights: np.ndarray | None,
    config: ClusteringConfig, seed: int,
) -> Candidate:  # fmt: skip
    def again(some: np.ndarray, theirs: np.ndarray | None) -> np.ndarray:
        return find_clusters(some, method, theirs).labels

    value = stability(points, found.labels, again, seed, weights, config.resamples)
    return Candidate(**{**asdict(candidate), "stability": value})
