"""The rows of a folder of embeddings that are nearest to queries: exact, and in memory that does not grow with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from ecotf._kernels import search as kernels
from ecotf.embeddings.shards import SHARD_ROWS
from ecotf.embeddings.store import Embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.features.threads import in_threads

Distance = Literal["cosine", "euclidean", "dot"]
_MEASURES: dict[Distance, int] = {
    "cosine": kernels.COSINE,
    "euclidean": kernels.EUCLIDEAN,
    "dot": kernels.DOT,
}
_EVERY = np.empty(0, np.uint8)


class Ranked(NamedTuple):
    """Rows of a table of embeddings, the best first; of equal ones the one that comes first in the table.

    Attributes
    ----------
    rows
        int64 ``[n]``
    scores
        float32 ``[n]``, the higher the better. Of ``euclidean`` minus the distance.
    without
        How many rows of the table have no score; see `Best`.
    """

    rows: np.ndarray
    scores: np.ndarray
    without: int = 0


@dataclass
class Best:
    """The best ``k`` rows of each of ``queries`` questions, as rows come.

    Attributes
    ----------
    without
        How many rows have no score: with NaN in them or, where an angle is asked for, zeros alone.
    """

    queries: int
    k: int
    without: int = 0

    def __post_init__(self) -> None:
        """Begin with none."""
        self.scores = np.empty((self.queries, self.k), np.float32)
        self.rows = np.empty((self.queries, self.k), np.int64)
        self.filled = np.zeros(self.queries, np.int64)

    def add(self, scores: np.ndarray, start: int, wanted: np.ndarray = _EVERY) -> None:
        """Keep the best of scores float32 ``[n, queries]`` of rows from ``start`` on."""
        scores = np.ascontiguousarray(scores, np.float32)
        self.without += kernels.keep_best(scores, start, wanted, self.scores, self.rows, self.filled)


def merged(parts: Sequence[Best]) -> list[Ranked]:
    """Join what several threads found, in order; one answer for each query."""
    found, without = [], sum(part.without for part in parts)
    for query in range(parts[0].queries):
        rows = np.concatenate([part.rows[query, : part.filled[query]] for part in parts])
        scores = np.concatenate([part.scores[query, : part.filled[query]] for part in parts])
        order = np.lexsort((rows, -scores))[: parts[0].k]
        found.append(Ranked(rows[order], scores[order], without))
    return found


def nearest(
    embeddings: Embeddings,
    queries: np.ndarray,
    k: int,
    distance: Distance = "cosine",
    wanted: np.ndarray | None = None,
    threads: int | None = None,
) -> list[Ranked]:
    """Find the ``k`` rows that are nearest to each query.

    Every row is compared; only the best are kept. The result does not depend on blocks, threads or instruction set.

    Parameters
    ----------
    embeddings
        From `ecotf.open_embeddings`.
    queries
        float ``[q, embeddings.numbers]``
    distance
        ``cosine`` (of the angle), ``euclidean``, or ``dot`` (the product as it is).
    wanted
        bool ``[rows]``: rows that may be found; all of them by default.
    threads
        Processor cores; all by default.

    Returns
    -------
    For each query at most ``k`` rows. Rows with NaN in them are never found; nor are, of ``cosine``, rows of zeros.

    Raises
    ------
    ConfigError
        A number or a name that is not allowed.
    DataError
        A query is not finite, or of zeros and without an angle.

    Examples
    --------
    >>> hits = nearest(embeddings, embeddings.rows([0]), k=20)[0]  # doctest: +SKIP
    >>> embeddings.table.iloc[hits.rows]  # doctest: +SKIP
    """
    if distance not in _MEASURES:
        raise ConfigError(f"distance {distance!r}; allowed: {', '.join(get_args(Distance))}")
    prepared = _prepared(queries, distance, embeddings.numbers)
    threads = threads_to_use(threads)
    k = _room(embeddings, k)
    parts = [Best(len(prepared), k) for _ in range(threads)]
    for start, block in embeddings.blocks(SHARD_ROWS):
        here = _here(wanted, start, len(block))
        halves = np.ascontiguousarray(block).view(np.uint16)
        edges = np.linspace(0, len(block), threads + 1).astype(int)

        def work(part: int, start: int = start, here: np.ndarray = here, halves: np.ndarray = halves,
                 edges: np.ndarray = edges) -> None:  # fmt: skip
            best = parts[part]
            best.without += kernels.keep_nearest(
                halves, edges[part], edges[part + 1], start, prepared, _MEASURES[distance], here,
                best.scores, best.rows, best.filled,
            )  # fmt: skip

        in_threads(work, threads, threads)
    found = merged(parts)
    if distance == "euclidean":
        found = [one._replace(scores=-np.sqrt(-one.scores)) for one in found]
    return found


def best_by(
    embeddings: Embeddings,
    score: Callable[[np.ndarray], np.ndarray],
    k: int,
    wanted: np.ndarray | None = None,
) -> Ranked:
    """Find the ``k`` rows with the highest score.

    Parameters
    ----------
    score
        Takes embeddings float32 ``[n, numbers]`` and gives scores ``[n]``.
    k, wanted
        See `nearest`.
    """
    best = Best(1, _room(embeddings, k))
    for start, block in embeddings.blocks():
        values = np.asarray(score(np.asarray(block, np.float32)), np.float32)
        best.add(values[:, None], start, _here(wanted, start, len(block)))
    return merged([best])[0]


def joined(found: Sequence[Ranked], k: int) -> Ranked:
    """Join the answers to several queries: a row's score is its best.

    The best ``k`` of all are among the best ``k`` of each, so nothing is lost.
    """
    rows = np.concatenate([one.rows for one in found])
    scores = np.concatenate([one.scores for one in found])
    order = np.lexsort((rows, -scores))
    first = np.sort(np.unique(rows[order], return_index=True)[1])[:k]
    return Ranked(rows[order][first], scores[order][first], max(one.without for one in found))


def threads_to_use(threads: int | None) -> int:
    """Return how many threads to use: all cores unless stated; raises `ConfigError` for less than one."""
    if threads is not None and threads < 1:
        raise ConfigError(f"{threads} threads; allowed: 1 or more")
    return threads or os.cpu_count() or 1


def _prepared(queries: np.ndarray, distance: Distance, numbers: int) -> np.ndarray:
    """Return queries as the kernel takes them: of length 1 for an angle, filled up with zeros."""
    queries = np.atleast_2d(np.asarray(queries, np.float64))
    if queries.ndim != 2 or queries.shape[1] != numbers or not len(queries):
        raise ConfigError(f"queries of shape {list(queries.shape)}; the embeddings have {numbers} numbers")
    if not np.isfinite(queries).all():
        raise DataError("the embedding of the query has numbers that are not finite, so nothing is near to it")
    if distance == "cosine":
        lengths = np.sqrt((queries**2).sum(axis=1, keepdims=True))
        if not lengths.all():
            raise DataError(
                "the embedding of the query is all zeros, so no angle can be compared: the embedder heard nothing in "
                "it; give another clip, or choose the distance euclidean"
            )
        queries = queries / lengths
    size = -(-numbers // kernels.SUMS_OF_A_ROW) * kernels.SUMS_OF_A_ROW
    return np.ascontiguousarray(np.pad(queries, ((0, 0), (0, size - numbers))), np.float32)


def _room(embeddings: Embeddings, k: int) -> int:
    if k < 1:
        raise ConfigError(f"the best {k}; allowed: 1 or more")
    if not len(embeddings):
        raise DataError(f"{embeddings.folder}: holds no embedding, so there is nothing to search")
    return min(k, len(embeddings))


def _here(wanted: np.ndarray | None, start: int, n: int) -> np.ndarray:
    return _EVERY if wanted is None else np.ascontiguousarray(wanted[start : start + n], bool).view(np.uint8)
