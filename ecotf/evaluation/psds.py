"""The polyphonic sound detection score: how many events are found, against false alarms an hour, at every threshold.

Bilen et al. (ICASSP 2020, arXiv:1910.08440), computed at all thresholds at once as by Ebbers et al. (ICASSP 2022,
arXiv:2201.13148); the definitions are those of sed_scores_eval. A detection is relevant when ``dtc`` of it lies in
events of its class, else a false alarm; an event is found when relevant detections cover ``gtc`` of it; a false alarm
is a cross trigger when ``cttc`` of it lies in events of another class.

sed_scores_eval refuses what real tables have, so here it is defined. Where events or detections of one class overlap,
what they share is added up. A class without events is left out. With one class alone there are no cross triggers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from ecotf.config import Config

if TYPE_CHECKING:
    from ecotf.evaluation.matching import Floats, Integers

DECIMALS = 6  # seconds are compared after rounding, or 0.7 of a second would be more than itself
_HOUR = 3600.0

Run = tuple[float, float]
"""A detection: start and end, seconds."""


class PsdsConfig(Config):
    """What is right, what is wrong, and what counts how much.

    Attributes
    ----------
    dtc, gtc, cttc
        The shares above. The defaults are PSDS1 of task 4 of DCASE; PSDS2 is ``dtc: 0.1, gtc: 0.1, cttc: 0.3,
        alpha_ct: 0.5``.
    alpha_ct
        Weight of the cross triggers in the rate of false alarms; 0 for none.
    alpha_st
        How much of the standard deviation over the classes is taken from their mean.
    max_efpr
        The curve is looked at up to this many false alarms an hour.
    """

    dtc: float = Field(0.7, gt=0, le=1)
    gtc: float = Field(0.7, gt=0, le=1)
    cttc: float | None = Field(None, gt=0, le=1)
    alpha_ct: float = Field(0.0, ge=0)
    alpha_st: float = Field(1.0, ge=0)
    max_efpr: float = Field(100.0, gt=0)

    @model_validator(mode="after")
    def _fits(self) -> PsdsConfig:
        if (self.cttc is None) != (self.alpha_ct == 0):
            raise ValueError(f"cttc = {self.cttc} with alpha_ct = {self.alpha_ct:g}: both, or neither of them")
        return self


class Steps(NamedTuple):
    """What changes when the threshold comes down to a score: of one class, in one recording or many.

    Attributes
    ----------
    scores, recordings
        ``[n]``; the scores may come in any order.
    changes
        Of the events found, the false alarms, and the cross triggers with each other class: int ``[n, 2 + others]``.
    """

    scores: Floats
    recordings: Integers
    changes: Integers


def frame_runs(scores: Floats, edges_s: Floats) -> Iterator[tuple[float, list[Run], Run]]:
    """Give the detections of frames at every threshold, the highest first: the score, what it replaces, and itself.

    Parameters
    ----------
    scores
        Of one class, ``[frames]``.
    edges_s
        Where each frame begins, and the last one ends, ``[frames + 1]``.
    """
    edges = edges_s.tolist()
    other = [-1] * len(scores)  # the other end of the run that begins or ends at a frame
    for at in np.argsort(-scores, kind="stable").tolist():
        first = last = at
        replaced = []
        if at and other[at - 1] >= 0:
            first = other[at - 1]
            replaced.append((edges[first], edges[at]))
        if at + 1 < len(other) and other[at + 1] >= 0:
            last = other[at + 1]
            replaced.append((edges[at + 1], edges[last + 1]))
        other[at], other[first], other[last] = at, last, first
        yield float(scores[at]), replaced, (edges[first], edges[last + 1])


def box_runs(scores: Floats, boxes: Floats) -> Iterator[tuple[float, list[Run], Run]]:
    """The same of detections ``[n, 2]`` that are there or not, whatever the threshold is; they come in any order."""
    for at in np.argsort(-scores, kind="stable").tolist():
        yield float(scores[at]), [], (float(boxes[at, 0]), float(boxes[at, 1]))


def count_steps(
    runs: Iterable[tuple[float, list[Run], Run]],
    events: Floats,
    others: Sequence[Floats],
    config: PsdsConfig,
    recording: int = 0,
) -> Steps:
    """Count what each threshold changes in one recording.

    Parameters
    ----------
    runs
        As `frame_runs` gives them.
    events, others
        ``[n, 2]``: starts and ends of the class's events, and of those of each other class.
    """
    cttc = config.cttc or 0.0
    target, rest = _Events(events), [_Events(one) for one in others] if cttc else []
    covered, found = [0.0] * len(target.starts), [False] * len(target.starts)
    lengths = [end - start for start, end in zip(target.starts, target.ends, strict=True)]
    wanted = [round(config.gtc * length, DECIMALS) for length in lengths]
    changes: dict[float, list[int]] = defaultdict(lambda: [0] * (2 + len(rest)))

    def count(run: Run, sign: int, row: list[int]) -> None:
        length = run[1] - run[0]
        if length <= 0:
            return
        shares = target.shared(run)
        if shares and round(sum(share for _, share in shares), DECIMALS) >= round(config.dtc * length, DECIMALS):
            for number, share in shares:
                covered[number] += sign * share
                is_found = round(covered[number], DECIMALS) >= wanted[number]
                row[0] += is_found - found[number]
                found[number] = is_found
            return
        row[1] += sign
        for place, one in enumerate(rest):
            inside = round(sum(share for _, share in one.shared(run)), DECIMALS)
            row[2 + place] += sign * (len(one.starts) > 0 and inside >= round(cttc * length, DECIMALS))

    for score, replaced, run in runs:
        row = changes[score]
        for old in replaced:
            count(old, -1, row)
        count(run, 1, row)
    kept = {score: row for score, row in changes.items() if any(row)}
    counts = np.array(list(kept.values()), np.int64).reshape(len(kept), 2 + len(rest))
    unseen = np.zeros((len(kept), len(others) - len(rest)), np.int64)
    return Steps(np.array(list(kept), float), np.full(len(kept), recording), np.hstack([counts, unseen]))


class _Events:
    """Events in order of their starts."""

    def __init__(self, events: Floats) -> None:
        order = np.lexsort((events[:, 1], events[:, 0])) if len(events) else np.zeros(0, int)
        self.starts, self.ends = (events[order, column].tolist() if len(events) else [] for column in (0, 1))
        self._reach = np.maximum.accumulate(events[order, 1]).tolist() if len(events) else []

    def shared(self, run: Run) -> list[tuple[int, float]]:
        """List the events that a run lies in, and how many seconds of it."""
        first, last = bisect_right(self._reach, run[0]), bisect_left(self.starts, run[1])
        both = [(i, min(self.ends[i], run[1]) - max(self.starts[i], run[0])) for i in range(first, last)]
        return [(i, share) for i, share in both if share > 0]


def joined_steps(parts: Sequence[Steps], n_others: int) -> Steps:
    """Put the recordings together, the highest score first."""
    scores = np.concatenate([np.empty(0), *(part.scores for part in parts)])
    order = np.argsort(-scores, kind="stable")
    recordings = np.concatenate([np.empty(0, np.int64), *(part.recordings for part in parts)])
    changes = np.concatenate([np.empty((0, 2 + n_others), np.int64), *(part.changes for part in parts)])
    return Steps(scores[order], recordings[order], changes[order])


def class_curve(
    steps: Steps, n_events: float, hours: float, other_hours: Floats, config: PsdsConfig, weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return the curve of one class: effective false alarms an hour, rising, and the share of events that is found.

    Parameters
    ----------
    steps
        Of `joined_steps`.
    hours, other_hours
        Of sound, and of the events of each other class.
    weights
        How often each recording counts; ``n_events`` and the hours are those of all, so counted.
    """
    changes = steps.changes if weights is None else steps.changes * weights[steps.recordings][:, None]
    last = np.flatnonzero(np.diff(steps.scores, append=-np.inf))  # one point for each distinct score
    counts = np.cumsum(changes, axis=0)[last]
    rate = counts[:, 1] / max(hours, 1e-12)
    if config.alpha_ct and counts.shape[1] > 2:
        rate = rate + config.alpha_ct * np.mean(counts[:, 2:] / np.maximum(other_hours, 1e-12 / _HOUR), axis=1)
    share = counts[:, 0] / max(n_events, 1)
    order = np.lexsort((share, rate))
    rate, share = rate[order], np.maximum.accumulate(share[order])
    ends = np.flatnonzero(np.diff(rate, append=np.inf))  # of points with the same rate the best
    ends = ends[rate[ends] <= config.max_efpr]
    return rate[ends], share[ends]


def score_of_curves(curves: Sequence[tuple[Floats, Floats]], config: PsdsConfig) -> float:
    """Return the area under the mean of the classes' curves, as a part of the whole; NaN without a class."""
    if not curves:
        return float("nan")
    rates = np.unique(np.concatenate([np.zeros(1), *(rate for rate, _ in curves)]))
    at = [np.searchsorted(rate, rates, side="right") for rate, _ in curves]
    shares = np.array([np.concatenate([[0.0], share])[places] for (_, share), places in zip(curves, at, strict=True)])
    effective = np.maximum(shares.mean(axis=0) - config.alpha_st * shares.std(axis=0), 0)
    return float(np.sum(effective * np.diff(rates, append=config.max_efpr)) / config.max_efpr)
