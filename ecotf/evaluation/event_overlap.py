"""Events matched by how much they overlap, as in DCASE's few-shot task (Nolasco et al. 2023, arXiv:2306.09223)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecotf.evaluation.hit_rules import Collars, Overlap

LEAST_IOU = 0.3
_USUAL = Overlap(LEAST_IOU)


@dataclass(frozen=True)
class Counts:
    """Events that were found and are right or wrong, and those that were missed."""

    right: int
    wrong: int
    missed: int

    def __add__(self, other: Counts) -> Counts:
        """Add two counts."""
        return Counts(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Share of the found that is right; 0 where nothing was found."""
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        """Share of the annotated that was found."""
        return self.right / max(self.right + self.missed, 1)

    @property
    def f(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.right / max(2 * self.right + self.wrong + self.missed, 1)


def count_overlaps(
    found: np.ndarray,
    truth: np.ndarray,
    unknown: np.ndarray | None = None,
    rule: Overlap | Collars = _USUAL,
) -> Counts:
    """Match events one to one where their IoU is at least 0.3, or by another rule, as many as can be.

    Parameters
    ----------
    found, truth
        ``[events, 2]``: start and end, seconds.
    unknown
        Events that may be of the class or not: what matches one of them, and nothing of ``truth``, is not counted.

    Examples
    --------
    >>> found = np.array([[0.0, 1.0], [5.0, 6.0], [8.0, 9.0]])
    >>> count_overlaps(found, np.array([[0.2, 1.1], [3.0, 4.0]]), np.array([[5.0, 6.0]]))
    Counts(right=1, wrong=1, missed=1)
    """
    hits = matched(found, truth, rule)
    rest = found[~hits]
    unsure = 0 if unknown is None else int(matched(rest, unknown, rule).sum())
    return Counts(int(hits.sum()), len(rest) - unsure, len(truth) - int(hits.sum()))


def matched(
    found: np.ndarray,
    truth: np.ndarray,
    rule: Overlap | Collars = _USUAL,
) -> np.ndarray:
    """Return which events of ``found`` have a partner in ``truth``, bool ``[events]``."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not len(found) or not len(truth):
        return np.zeros(len(found), bool)
    near = csr_matrix(np.isfinite(rule.distances(*found.T, *truth.T)))
    return np.asarray(maximum_bipartite_matching(near, perm_type="column") >= 0)


def f_interval(counts: Sequence[Counts], n_bootstrap: int = 1000, seed: int = 1979) -> tuple[float, float]:
    """Return the 95 % interval of F: recordings, each with its counts, are drawn again.

    Draws without any event to be found have no F, and are left out.

    Examples
    --------
    >>> f_interval([Counts(3, 0, 0), Counts(0, 0, 0)])
    (1.0, 1.0)
    """
    table = np.array([(one.right, one.wrong, one.missed) for one in counts], float)
    drawn = np.random.default_rng(seed).integers(0, len(table), (n_bootstrap, len(table)))
    right, wrong, missed = table[drawn].sum(axis=1).T
    known = right + missed > 0
    if not known.any():
        return 0.0, 1.0
    values = (2 * right / np.maximum(2 * right + wrong + missed, 1))[known]
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))
