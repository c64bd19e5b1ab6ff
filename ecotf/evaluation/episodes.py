"""Accuracy in episodes of few-shot learning, on rows of numbers: embeddings, or whole feature maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import DataError
from ecotf.pipelines.clips import ClipTable
from ecotf.pipelines.episodes import EpisodeClips, EpisodeConfig, Episodes, draw_episodes

if TYPE_CHECKING:
    from ecotf.models.heads.base import TableHeadConfig

Answer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Takes the support ``[n, ...]``, the class of each of its rows, int ``[n]`` from 0 on, and the queries ``[m, ...]``;
gives scores of the queries ``[m, way]``, the highest of which is the class."""

_NORMAL = 1.959963984540054


def episodes_of_rows(
    labels: Sequence[str] | np.ndarray, groups: Sequence[Any] | np.ndarray, config: EpisodeConfig, seed: int
) -> Episodes:
    """Draw episodes from rows, each with a label and a group.

    Parameters
    ----------
    labels
        The class of each row, ``[n]``.
    groups
        ``[n]``; rows with the same group are never in the support and in the queries of one class.
    config
        The size of the episodes, and how many.

    Raises
    ------
    DataError
        Too few classes have enough rows of different groups; one line that names those left out.
    """
    labels = np.asarray(labels)
    names, code = np.unique(labels, return_inverse=True)
    group = np.unique(np.asarray(groups), return_inverse=True)[1]
    n = len(labels)
    targets = np.eye(len(names), dtype=np.float32)[code.reshape(n)]
    table = ClipTable(np.arange(n), np.zeros(n), targets, np.ones(n, np.float32))
    return draw_episodes(EpisodeClips(table, group.reshape(n), tuple(map(str, names))), config, seed, 0)


def episode_accuracies(rows: np.ndarray, episodes: Episodes, answer: Answer) -> np.ndarray:
    """Answer every episode, and return the share of its queries that are named right, float64 ``[episodes]``.

    Parameters
    ----------
    rows
        ``[n, ...]``: what is compared, in the order of the rows that the episodes were drawn from.
    answer
        How an episode is answered, such as `head_answer`.

    Raises
    ------
    DataError
        A row that an episode uses is not of finite numbers.

    Examples
    --------
    >>> from ecotf.models.heads.nearest_mean import NearestMeanConfig
    >>> rows = np.random.default_rng(0).normal(size=(60, 4)) + 9 * np.eye(4)[np.arange(60) % 4]
    >>> episodes = episodes_of_rows(np.arange(60) % 4, np.arange(60), EpisodeConfig(way=3, episodes=20), seed=1)
    >>> float(episode_accuracies(rows, episodes, head_answer(NearestMeanConfig())).mean())
    1.0
    """
    finite = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
    if not finite[np.unique(episodes.rows)].all():
        raise DataError(f"{int((~finite).sum())} of {len(rows)} rows are not of finite numbers; episodes need all")
    size, index = episodes.config, episodes.config.class_index
    right = np.empty(len(episodes))
    for number, own in enumerate(episodes.rows):
        support, queries = own[: size.n_support], own[size.n_support :]
        scores = np.asarray(answer(rows[support], index[: size.n_support], rows[queries]))
        right[number] = (scores.argmax(axis=1) == index[size.n_support :]).mean()
    return right


def head_answer(config: TableHeadConfig, seed: int = 0) -> Answer:
    """Answer an episode by fitting a head of rows (`ecotf.models.heads`) on its support."""
    from ecotf.models.heads import HEADS

    def answer(support: np.ndarray, codes: np.ndarray, queries: np.ndarray) -> np.ndarray:
        targets = np.eye(codes.max() + 1, dtype=np.float32)[codes]
        return np.asarray(HEADS.build(config, support, targets, seed=seed, threads=1).predict(queries))

    return answer


def accuracy_with_interval(accuracies: np.ndarray) -> dict[str, Any]:
    """Return the mean accuracy of episodes with its 95 % interval (normal, over episodes).

    The interval says how well so many episodes know the accuracy on these species and recordings. On other species it
    may be another.

    Examples
    --------
    >>> found = accuracy_with_interval(np.array([0.6, 0.8, 1.0, 0.8]))
    >>> round(found["accuracy"], 3), [round(edge, 3) for edge in found["interval"]]
    (0.8, [0.64, 0.96])
    """
    n = len(accuracies)
    mean = float(np.mean(accuracies))
    half = _NORMAL * float(np.std(accuracies, ddof=1)) / np.sqrt(n) if n > 1 else float("nan")
    return {"accuracy": mean, "interval": [mean - half, mean + half], "episodes": n}
