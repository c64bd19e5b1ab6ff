"""From examples to a head: for each species by itself one direction among normalised embeddings, and a level on it.

A row without the centre, brought to length 1, is compared with the mean of a species' examples less the mean of sound
without it, in the directions in which that sound varies little (a discriminant with a shrunken covariance; with few
rows of such sound it is the nearest mean, CL2N). That is a normalisation and one dense layer, the head `NearestMean`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecotf.models.heads.nearest_mean import NearestMean
from ecotf.tasks.enrolment.support import Absence, Support, Taught

ENOUGH = 50
"""So many rows of sound without a species say what such sound is like; with fewer, noise stands in for it."""
SHRINK = 3.0
"""Part of the mean variance that is added to the variance in every direction."""
LEVEL = 0.5
"""A species' level lies here between sound without it (0) and its examples, each left out of its own mean (1)."""
_HIGH = 0.995  # quantile of sound without the species
_SURE = 3.0  # the logit of a usual example
_LEAST = 1e-9


@dataclass(frozen=True)
class Judged:
    """What the examples themselves say of a species.

    Attributes
    ----------
    left_out
        The logit of each example when the rest are the species, in their order; empty of one example alone.
    without
        How many rows of sound without the species it rests on.
    nearest, distance
        The other species that is hardest to tell apart, and how far its examples lie from the level: from 0, on the
        level, to 1 and more, as far below it as its own are above. None where there is no other.
    """

    label: str
    left_out: np.ndarray
    without: int
    nearest: str | None
    distance: float | None


@dataclass(frozen=True)
class Fitted:
    """A head, and what is known of each of its classes."""

    head: NearestMean
    classes: tuple[str, ...]
    judged: tuple[Judged, ...]


def fit_head(support: Support, segment_s: float, heldout: np.ndarray | None = None) -> Fitted:
    """Compute the head from all that a run knows; the same support always gives the same numbers.

    Parameters
    ----------
    heldout
        ``[n, numbers]``: embeddings of classes that are none of the species, which no training has seen.
    """
    classes = support.classes
    outside = {label: _without(support, label, segment_s, heldout) for label in classes}
    centre = _centre(support, outside).astype(np.float32)
    directions, levels, slopes, judged = [], [], [], []
    for label in classes:
        one = _Species(support.of(label), outside[label], centre)
        others = {other: _seen(_rows(support.of(other)), centre) for other in classes if other != label}
        directions.append(one.direction(range(len(one.examples))))
        level, slope = one.level(directions[-1])
        levels.append(level)
        slopes.append(slope)
        judged.append(one.judge(label, directions[-1], level, slope, others))
    return Fitted(_as_head(centre, directions, levels, slopes), classes, tuple(judged))


class _Species:
    """One species: the normalised rows of its examples, and those of sound without it."""

    def __init__(self, taught: Sequence[Taught], outside: np.ndarray, centre: np.ndarray) -> None:
        self.examples = [_seen(one.rows, centre) for one in taught]
        self.outside = _seen(outside, centre)
        self._mean = self.outside.mean(axis=0)
        away = self.outside - self._mean
        covariance = away.T @ away / len(away)
        self._spread = covariance + SHRINK * max(float(np.trace(covariance)) / len(covariance), _LEAST) * np.eye(
            len(covariance)
        )

    def direction(self, chosen: Sequence[int] | range) -> np.ndarray:
        """Return the direction, of length 1, of some of the examples."""
        mean = np.mean([self.examples[i].mean(axis=0) for i in chosen], axis=0)
        found = np.linalg.solve(self._spread, mean - self._mean)
        return np.asarray(found / max(float(np.linalg.norm(found)), _LEAST))

    def left_out(self) -> np.ndarray:
        """Return the height of each example along the direction of the others, ``[n]``; of one alone its own."""
        every = range(len(self.examples))
        if len(self.examples) == 1:
            return np.array([float((self.examples[0] @ self.direction([0])).max())])
        return np.array([(self.examples[i] @ self.direction([j for j in every if j != i])).max() for i in every])

    def level(self, direction: np.ndarray) -> tuple[float, float]:
        """Return the level, and the slope of the logit there."""
        high = float(self.left_out().mean())
        low = float(np.quantile(self.outside @ direction, _HIGH))
        level = low + LEVEL * (high - low)
        return level, _SURE / max(high - level, 0.02)

    def judge(
        self, label: str, direction: np.ndarray, level: float, slope: float, others: dict[str, np.ndarray]
    ) -> Judged:
        """Say how the examples do, and which other species is nearest."""
        alone = len(self.examples) == 1
        heights = np.empty(0) if alone else self.left_out()
        nearest, distance = None, None
        for name, rows in others.items():
            away = float((level - np.mean(rows @ direction)) * slope / _SURE)
            if distance is None or away < distance:
                nearest, distance = name, away
        return Judged(label, slope * (heights - level), len(self.outside), nearest, distance)


def _without(support: Support, label: str, segment_s: float, heldout: np.ndarray | None) -> np.ndarray:
    """Return the rows of sound without a species, ``[n, numbers]``: at least a noise's."""
    relevant = [one for one in support.stretches if one.label in ("", label)]
    real = [known_rows(one, support, segment_s) for one in relevant if one.recording]
    made = [one.rows for one in relevant if not one.recording]
    if heldout is not None:
        real.append(np.asarray(heldout, np.float32))
    enough = sum(map(len, real)) >= ENOUGH
    return np.concatenate([np.empty((0, support.numbers), np.float32), *(real if enough else [*real, *made])])


def known_rows(stretch: Absence, support: Support, segment_s: float) -> np.ndarray:
    """Return the rows of a stretch in which its species is known not to be: those away from its examples."""
    if not stretch.label:
        return stretch.rows
    middles = stretch.middles(segment_s)
    away = np.ones(len(middles), bool)
    for one in support.of(stretch.label):
        if one.example.fingerprint == stretch.fingerprint:
            guard = one.example.seconds / 2
            away &= (middles < one.example.start_s - guard) | (middles > one.example.end_s + guard)
    return stretch.rows[away]


def _centre(support: Support, outside: dict[str, np.ndarray]) -> np.ndarray:
    """Return what is taken away from every row: the mean of sound without the species, each of them counted alike."""
    return np.mean([rows.mean(axis=0, dtype=np.float64) for rows in outside.values()], axis=0)


def _rows(taught: Sequence[Taught]) -> np.ndarray:
    return np.concatenate([one.rows for one in taught])


def _seen(rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
    values = np.asarray(rows, np.float64) - centre
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _LEAST))


def _as_head(
    centre: np.ndarray, directions: Sequence[np.ndarray], levels: Sequence[float], slopes: Sequence[float]
) -> NearestMean:
    """Write slope * (direction . row - level) as the head does: -|row - mean|^2 + bias, of rows of length 1."""
    means = np.array([0.5 * slope * direction for direction, slope in zip(directions, slopes, strict=True)])
    bias = [1 + float(mean @ mean) - slope * level for mean, slope, level in zip(means, slopes, levels, strict=True)]
    return NearestMean(centre, means.astype(np.float32), 1.0, np.array(bias, np.float32), True)
