"""What to look at next: rows that a head is surest of, least sure of, that are unlike all others, and by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.embeddings.store import Embeddings
from ecotf.searching.find import by_head
from ecotf.searching.nearest import best_by

_LEAST = 1e-7
_CANDIDATES = 20
"""For each diverse pick, so many of the likeliest rows are looked at, and at least ten times as many in all."""


class Shares(Config):
    """Parts of a round's picks; together more than 0.

    Attributes
    ----------
    best
        The likeliest rows: what a person is looking for.
    margin
        Those nearest to a probability of a half, of which a decision teaches most.
    diverse
        Of the likely rows, those farthest from all that was decided or picked (k-centre), so that another way in which
        the species sounds is not passed over.
    random
        Any row: only these say how much is missed.
    """

    best: float = Field(0.4, ge=0)
    margin: float = Field(0.3, ge=0)
    diverse: float = Field(0.2, ge=0)
    random: float = Field(0.1, ge=0)

    @model_validator(mode="after")
    def _some(self) -> Shares:
        if not sum(self.model_dump().values()) > 0:
            raise ValueError("one of them must be more than 0")
        return self

    def counts(self, picks: int) -> dict[str, int]:
        """Return how many picks of each kind, by the largest remainders.

        Examples
        --------
        >>> Shares().counts(20)
        {'best': 8, 'margin': 6, 'diverse': 4, 'random': 2}
        """
        shares = self.model_dump()
        exact = {name: picks * share / sum(shares.values()) for name, share in shares.items()}
        counts = {name: int(value + 1e-9) for name, value in exact.items()}
        for name in sorted(exact, key=lambda name: counts[name] - exact[name])[: picks - sum(counts.values())]:
            counts[name] += 1
        return counts


@dataclass(frozen=True)
class Pick:
    """A row that is shown, and why; ``score`` is its probability, or of the first hits how near they are."""

    row: int
    why: str
    score: float


def pick_next(
    embeddings: Embeddings, head: Any, allowed: np.ndarray, decided: np.ndarray, counts: dict[str, int], seed: int
) -> list[Pick]:
    """Pick rows to decide next.

    Parameters
    ----------
    head
        Fitted on one class.
    allowed
        bool ``[rows]``: what may be picked; it is changed.
    decided
        float32 ``[n, numbers]``: embeddings that were decided already.
    counts
        How many of each kind, from `Shares.counts`. Where fewer rows are left, there are fewer.
    """
    rng = np.random.default_rng(seed)
    picks: list[Pick] = []
    kinds: dict[str, Callable[[int], np.ndarray]] = {
        "best": lambda n: by_head(embeddings, head, 0, n, allowed, None).rows,
        "margin": lambda n: best_by(embeddings, lambda rows: -np.abs(_logits(head, rows)), n, allowed).rows,
        "diverse": lambda n: _diverse(
            embeddings, head, allowed, [decided, *(embeddings.rows([p.row]) for p in picks)], n
        ),
        "random": lambda n: rng.choice(np.flatnonzero(allowed), min(n, int(allowed.sum())), replace=False),
    }
    for why, n in counts.items():
        if n and allowed.any():
            rows = np.sort(kinds[why](n)) if why == "random" else kinds[why](n)
            scores = head.predict(embeddings.rows(rows))[:, 0]
            known = np.isfinite(scores)  # chance may take a row with NaN
            listed = zip(rows[known], scores[known], strict=True)
            picks += [Pick(int(row), why, round(float(score), 6)) for row, score in listed]
            allowed[rows] = False
    return picks


def _diverse(embeddings: Embeddings, head: Any, allowed: np.ndarray, known: list[np.ndarray], n: int) -> np.ndarray:
    candidates = by_head(embeddings, head, 0, max(10 * _CANDIDATES, _CANDIDATES * n), allowed, None).rows
    chosen = farthest_first(embeddings.rows(candidates), np.concatenate(known), n)
    return np.asarray(candidates[chosen])


def farthest_first(rows: np.ndarray, known: np.ndarray, n: int) -> np.ndarray:
    """Choose ``n`` rows one after the other, each the farthest by angle from what is known and chosen (k-centre).

    Examples
    --------
    >>> rows = np.array([[1.0, 0.1], [0.0, 1.0], [1.0, 0.0]])
    >>> farthest_first(rows, np.array([[1.0, 0.0]]), 2).tolist()
    [1, 0]
    """
    units, near = _units(rows), (_units(rows) @ _units(known).T).max(axis=1, initial=-2.0)
    chosen: list[int] = []
    for _ in range(min(n, len(rows))):
        chosen.append(int(np.argmin(near)))
        near = np.maximum(near, units @ units[chosen[-1]])
        near[chosen] = np.inf
    return np.array(chosen, np.int64)


def _units(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST))


def _logits(head: Any, rows: np.ndarray) -> np.ndarray:
    likely = np.clip(np.asarray(head.predict(rows), np.float64)[:, 0], _LEAST, 1 - _LEAST)
    return np.asarray(np.log(likely) - np.log1p(-likely))
