"""What the decisions of a session teach: a head, the next picks, and a curve that says when to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecotf.errors import DataError
from ecotf.evaluation.bootstrap import interval, resample_weights, resampled_detection
from ecotf.evaluation.matching import Track
from ecotf.models.heads import HEADS
from ecotf.models.heads.logistic import held_back
from ecotf.searching.picks import pick_next
from ecotf.searching.session import Round, Session

SMALL_GAIN = 0.02
"""Where the second half of the decisions surely brings less average precision than this, more of them bring little."""
_BOOTSTRAP, _FEWEST = 500, 8


@dataclass(frozen=True)
class Taught:
    """All that was decided, as rows of numbers.

    Attributes
    ----------
    rows
        float32 ``[n, numbers]``: the examples first, then the hits in the order in which they were decided.
    right
        bool ``[n]``
    groups
        int ``[n]``: the recording of each; every example is its own.
    examples
        How many of the rows are examples.
    """

    rows: np.ndarray
    right: np.ndarray
    groups: np.ndarray
    examples: int


@dataclass(frozen=True)
class Point:
    """A point of the learning curve.

    Attributes
    ----------
    decisions
        So many were learned from, the earliest.
    ap
        Average precision over all decided hits, each judged by a head that has not seen its recording.
    low, high
        A 95 % interval, by resampled recordings; None where there are too few.
    """

    decisions: int
    ap: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Curve:
    """A learning curve, and what to make of it.

    Attributes
    ----------
    gain
        How much the second half of the decisions has brought, with its interval; None where that is not known.
    advice
        One sentence.
    """

    points: tuple[Point, ...]
    gain: tuple[float, float, float] | None
    stop: bool
    advice: str


def taught_by(session: Session) -> Taught:
    """Gather the examples and all decided hits."""
    rows = np.array(list(session.answers), np.int64)
    names = session.embeddings.table["recording"].iloc[rows].to_numpy()
    groups = np.unique(names, return_inverse=True)[1] if len(rows) else rows
    n = len(session.queries)
    return Taught(
        np.concatenate([session.queries, session.embeddings.rows(rows)]),
        np.concatenate([np.ones(n, bool), np.array(list(session.answers.values()), bool)]),
        np.concatenate([-1 - np.arange(n), groups]),
        n,
    )


def fit(session: Session, taught: Taught | None = None) -> Any:
    """Fit the session's head to what was decided; equal decisions give equal numbers.

    Raises
    ------
    DataError
        Nothing was rejected, or nothing accepted.
    """
    taught = taught or taught_by(session)
    if taught.right.all() or not taught.right.any():
        kind = "rejected" if taught.right.all() else "accepted"
        raise DataError(f"no hit was {kind} yet, and a head learns from both kinds; decide on some more")
    targets = taught.right[:, None].astype(np.float64)
    return HEADS.build(session.teaching.head, taught.rows, targets, session.teaching.seed, 1, groups=taught.groups)


def next_round(session: Session, picks: int | None = None) -> Round:
    """Fit the head and keep the next picks as a round; rows that were shown are not shown again.

    Raises
    ------
    DataError
        Not both kinds were decided yet, or every row was shown.
    """
    teaching, taught = session.teaching, taught_by(session)
    allowed = np.ones(len(session.embeddings), bool)
    allowed[session.shown] = False
    if not allowed.any():
        raise DataError("every row of the embeddings was shown already")
    head = fit(session, taught)
    counts = teaching.shares.counts(picks or teaching.picks)
    seed = teaching.seed + 7919 * len(session.rounds)
    return session.add_round(pick_next(session.embeddings, head, allowed, taught.rows, counts, seed))


def learning_curve(session: Session) -> Curve:
    """Judge what more decisions bring.

    Recordings are held back in five folds. For each point the head learns from the earliest decisions alone, outside of
    the fold, and is judged on all decided hits of the fold; so all points are judged on the same hits. These were
    picked by likeness and by heads: their average precision is not that of the whole archive.
    """
    taught, seed = taught_by(session), session.teaching.seed
    hits = np.arange(taught.examples, len(taught.rows))
    right, recordings = taught.right[hits], taught.groups[hits]
    few = _too_few(right, recordings)
    if few:
        return Curve((), None, False, few)
    folds = held_back(right[:, None].astype(float), recordings, seed)
    sizes = sorted({max(_FEWEST, len(hits) // part) for part in (8, 4, 2, 1)})
    weights = resample_weights(int(recordings.max()) + 1, _BOOTSTRAP, seed)
    points, resampled = [], []
    for size in sizes:
        scores = _held_out_scores(session, taught, folds, size)
        if scores is None:
            continue
        every = np.vstack([np.ones(weights.shape[1], np.int64), weights])
        calls = np.bincount(recordings[right], minlength=weights.shape[1])
        ap = resampled_detection(Track(scores, right, recordings, calls), 0.5, every)["ap"]
        low, high = interval(ap[1:], weights)
        points.append(Point(size, float(ap[0]), low, high))
        resampled.append(ap)
    if len(points) < 2 or points[-1].decisions != len(hits):
        return Curve(tuple(points), None, False, "decide on more hits: the curve is too short to say anything")
    gained = resampled[-1] - resampled[-2]
    low, high = interval(gained[1:], weights)
    if low is None or high is None:
        return Curve(tuple(points), None, False, "decide on hits of more recordings: so few say nothing of others")
    gain = float(gained[0]), low, high
    stop = high < SMALL_GAIN
    latest = points[-1].decisions - points[-2].decisions
    said = f"the last {latest} decisions brought {gain[0]:+.3f} [{low:+.3f}, {high:+.3f}] of average precision"
    advice = f"stop: {said}, so more of them bring little" if stop else f"go on: {said}"
    return Curve(tuple(points), gain, stop, advice)


def _too_few(right: np.ndarray, recordings: np.ndarray) -> str:
    if len(right) < _FEWEST:
        return f"decide on more hits: {len(right)} so far, and the curve begins at {_FEWEST}"
    for kind, there in (("accepted", right), ("rejected", ~right)):
        n = len(np.unique(recordings[there]))
        if n < 2:
            return f"the curve needs hits of two recordings that were {kind}; there {'is' if n == 1 else 'are'} {n}"
    return ""


def _held_out_scores(session: Session, taught: Taught, folds: list[np.ndarray], size: int) -> np.ndarray | None:
    """Score every decided hit by a head of the earliest ``size`` without its recording; None where one kind lacks."""
    n = taught.examples
    scores = np.empty(len(taught.rows) - n)
    for held in folds:
        used = np.concatenate([np.ones(n, bool), ~held & (np.arange(len(held)) < size)])
        if taught.right[used].all() or not taught.right[used].any():
            return None
        part = Taught(taught.rows[used], taught.right[used], taught.groups[used], n)
        scores[held] = fit(session, part).predict(taught.rows[n:][held])[:, 0]
    return scores
