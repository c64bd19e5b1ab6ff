"""Clustering methods: what lies close together gets one number, what lies alone is noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from ecotf.clustering.knee import knee
from ecotf.config import Config
from ecotf.registry import Registry

NOISE = -1
"""The label of what belongs to no cluster."""

_LEAST = 3  # fewer points have no neighbourhood to speak of, as published


class Found(NamedTuple):
    """Clusters of points.

    Attributes
    ----------
    labels
        int ``[n]``: clusters from 0, or `NOISE`.
    probability
        float32 ``[n]``: how central a point is in its cluster, from 0 to 1; noise has 0.
    relative_validity
        HDBSCAN's own quick figure of how well its clusters are apart; NaN where it has none.
    """

    labels: np.ndarray
    probability: np.ndarray
    relative_validity: float = float("nan")


Clusterer = Callable[[np.ndarray, np.ndarray | None], Found]
"""Takes float64 ``[n, columns]``, at least 3 rows without NaN, and how many points each row stands for (None: one)."""

CLUSTERERS: Registry[Clusterer] = Registry("clustering method")
"""All methods; an entry makes a `Clusterer` from its config."""


class DbscanConfig(Config):
    """Points with neighbours nearer than a distance hang together (Ester et al., KDD 1996).

    Attributes
    ----------
    min_points
        A point is the core of a cluster if so many, itself among them, are near; published 2 for regions of interest.
        ``dimensions``: twice the number of columns, less 1, as published for Darksound's embeddings.
    eps
        How near: a distance, or ``knee``, as published: the knee of all distances to the nearest neighbour, sorted.
    """

    name: Literal["dbscan"] = "dbscan"
    min_points: int | Literal["dimensions"] = 2
    eps: float | Literal["knee"] = "knee"

    @field_validator("min_points")
    @classmethod
    def _at_least_1(cls, points: int | str) -> int | str:
        if not isinstance(points, str) and points < 1:
            raise ValueError(f"min_points = {points}: allowed are dimensions, or a number from 1")
        return points

    @field_validator("eps")
    @classmethod
    def _above_0(cls, eps: float | str) -> float | str:
        return _not_below(eps, 0, "eps")


class HdbscanConfig(Config):
    """Clusters of different densities, those that last longest while the distance grows (Campello et al., 2013).

    Attributes
    ----------
    min_size
        A group of fewer points is no cluster.
    min_samples
        How many near points make a place dense: more leaves more out as noise; None takes ``min_size``.
    epsilon
        Clusters nearer than this are not told apart; ``knee`` as in `DbscanConfig`.
    select
        ``eom`` prefers few large clusters, ``leaf`` many small ones.
    allow_single
        All points may be one cluster; otherwise there are at least two, or none.
    """

    name: Literal["hdbscan"] = "hdbscan"
    min_size: int = Field(2, ge=2)
    min_samples: int | None = Field(None, ge=1)
    epsilon: float | Literal["knee"] = 0.0
    select: Literal["eom", "leaf"] = "eom"
    allow_single: bool = False

    @field_validator("epsilon")
    @classmethod
    def _not_negative(cls, epsilon: float | str) -> float | str:
        return _not_below(epsilon, 0, "epsilon")


@CLUSTERERS.register(DbscanConfig)
def build_dbscan(config: DbscanConfig) -> Clusterer:
    """Make the function that clusters with DBSCAN."""

    def find(points: np.ndarray, weights: np.ndarray | None = None) -> Found:
        from sklearn.cluster import DBSCAN

        eps = max(_distance(config.eps, points), float(np.finfo(np.float64).tiny))  # all points in one place
        least = 2 * points.shape[1] - 1 if config.min_points == "dimensions" else config.min_points
        labels = np.asarray(DBSCAN(eps=eps, min_samples=least).fit_predict(points, sample_weight=weights), np.int64)
        return Found(labels, closeness(points, labels))

    return find


@CLUSTERERS.register(HdbscanConfig)
def build_hdbscan(config: HdbscanConfig) -> Clusterer:
    """Make the function that clusters with HDBSCAN."""

    def find(points: np.ndarray, weights: np.ndarray | None = None) -> Found:
        import hdbscan

        if len(points) <= config.min_size or not np.ptp(points, axis=0).any():
            all_alike = len(points) >= config.min_size and not np.ptp(points, axis=0).any()
            return Found(np.full(len(points), 0 if all_alike else NOISE), np.full(len(points), all_alike, np.float32))
        if weights is not None:
            return Found(*_of_weighted(config, points, weights))
        found = hdbscan.HDBSCAN(
            min_cluster_size=config.min_size,
            min_samples=min(config.min_samples or config.min_size, len(points) - 1),
            cluster_selection_epsilon=_distance(config.epsilon, points),
            cluster_selection_method=config.select,
            allow_single_cluster=config.allow_single,
            gen_min_span_tree=True,
            core_dist_n_jobs=1,
        )
        labels = np.asarray(found.fit_predict(points), np.int64)
        validity = float(found.relative_validity_) if labels.max() > 0 else float("nan")
        return Found(labels, np.asarray(found.probabilities_, np.float32), validity)

    return find


def _of_weighted(config: HdbscanConfig, points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from hdbscan.hdbscan_ import _tree_to_labels

    from ecotf.clustering.weighted import weighted_linkage

    least = config.min_samples or config.min_size
    linkage, first, share = weighted_linkage(points, weights, least)
    labels, probability, *_ = _tree_to_labels(
        points, linkage, max(2, round(share * config.min_size)), config.select, config.allow_single,
        cluster_selection_epsilon=_distance(config.epsilon, points),
    )  # fmt: skip
    return np.asarray(labels[first], np.int64), np.asarray(probability[first], np.float32)


def closeness(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Say how near each point is to the mean of its cluster: 1 there, 0 for the farthest and for noise; ``[n]``."""
    near = np.zeros(len(points), np.float32)
    for label in np.unique(labels[labels != NOISE]):
        inside = labels == label
        away = np.linalg.norm(points[inside] - points[inside].mean(axis=0), axis=1)
        near[inside] = 1 - away / away.max() if away.max() > 0 else 1.0
    return near


if TYPE_CHECKING:
    ClusterConfig = DbscanConfig | HdbscanConfig
else:
    ClusterConfig = CLUSTERERS.config_type()


def find_clusters(features: np.ndarray, config: ClusterConfig, weights: np.ndarray | None = None) -> Found:
    """Find clusters among rows of numbers, and how central each row is in its cluster.

    Parameters
    ----------
    features
        ``[n, columns]``, on one scale (`ecotf.clustering.scaling`). Rows with NaN or infinity are noise.
    weights
        How many points each row stands for, ``[n]``; None: one each.

    Returns
    -------
    See `Found`. Of fewer than 3 rows all are noise.
    """
    features = np.asarray(features, np.float64)
    labels, probability = np.full(len(features), NOISE), np.zeros(len(features), np.float32)
    usable = np.isfinite(features).all(axis=1)
    validity = float("nan")
    if usable.sum() >= _LEAST:
        found = CLUSTERERS.build(config)(features[usable], None if weights is None else weights[usable])
        labels[usable], probability[usable], validity = found
    return Found(labels, probability, validity)


def cluster(features: np.ndarray, config: ClusterConfig) -> np.ndarray:
    """Find clusters among rows of numbers; as `find_clusters`, and gives the labels alone.

    Examples
    --------
    >>> points = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [9.0]])
    >>> cluster(points, DbscanConfig(eps=0.5)).tolist()
    [0, 0, 0, 1, 1, -1]
    """
    return find_clusters(features, config).labels


def biggest(labels: np.ndarray) -> int:
    """Return the cluster with the most members, the first of several; `NOISE` where there is no cluster.

    Examples
    --------
    >>> biggest(np.array([-1, -1, -1, 1, 1, 0])), biggest(np.array([-1, -1]))
    (1, -1)
    """
    inside = labels[labels != NOISE]
    return int(np.bincount(inside).argmax()) if len(inside) else NOISE


def nearest_distance_knee(points: np.ndarray) -> float:
    """Return the knee of the distances to the nearest neighbour, sorted; as published, the greatest where it is 0."""
    from sklearn.neighbors import NearestNeighbors

    distances = np.sort(NearestNeighbors(n_neighbors=2).fit(points).kneighbors(points)[0][:, 1])
    return float(distances[knee(distances)] or distances[-1])


def _distance(stated: float | str, points: np.ndarray) -> float:
    return nearest_distance_knee(points) if stated == "knee" else float(stated)


def _not_below(value: float | str, least: float, name: str) -> float | str:
    if not isinstance(value, str) and value < least:
        raise ValueError(f"{name} = {value:g}: allowed are knee, or a distance from {least:g}")
    return value
