"""Logistic regression on embeddings: a head that is fitted in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.models.heads.base import HEADS, TableHeadConfig
from ecotf.models.heads.dense_layers import DenseHead, DenseLayers, fit_dense, load_dense
from ecotf.models.heads.several_labels import Strategy

_STRENGTHS = tuple(10.0**power for power in np.arange(1.0, -3.6, -0.5))
_ITERATIONS = 200


class LogisticConfig(TableHeadConfig):
    """Logistic regression with an L2 penalty.

    Attributes
    ----------
    strategy
        See `ecotf.models.heads.several_labels.fit_several`.
    strength
        Of the penalty on the weights of standardised embeddings, beside the mean loss of a row. ``chosen``: the one
        with the least loss on rows that were held back, whole groups of them, five times in turn.
    balanced
        For every class, rows that have it and rows that do not count the same.
    """

    class_layers: ClassVar[tuple[str, ...]] = ()

    name: Literal["logistic"] = "logistic"
    strategy: Strategy = "one_vs_rest"
    strength: float | Literal["chosen"] = Field("chosen")
    balanced: bool = False

    def load(self, folder: Path) -> DenseHead:
        """Read a fitted head."""
        return load_dense(folder)


@HEADS.register(LogisticConfig)
def fit_logistic(
    config: LogisticConfig,
    rows: np.ndarray,
    targets: np.ndarray,
    seed: int,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
    groups: np.ndarray | None = None,
) -> DenseHead:
    """Fit a logistic regression.

    Parameters
    ----------
    rows, targets, progress
        See `ecotf.models.heads.dense_layers.fit_dense`.
    groups
        int ``[n]``: rows of one recording or site, which are held back together. By default each row is one.
    """
    groups = np.arange(len(rows)) if groups is None else groups
    fit = partial(_fit, config, groups=groups, seed=seed)
    return fit_dense(config.strategy, fit, rows, targets, progress)


def _fit(
    config: LogisticConfig, rows: np.ndarray, targets: np.ndarray, one_of_all: bool, *, groups: np.ndarray, seed: int
) -> DenseLayers:
    """Fit weights for all columns of ``targets``; each for itself, or one out of all."""
    basis = None
    if len(rows) < rows.shape[1]:
        # With an L2 penalty the weights are a sum of rows, so fewer numbers say the same.
        left, length, basis = np.linalg.svd(rows, full_matrices=False)
        rows = left * length
    problem = _Problem(rows, targets, _weights(targets, config.balanced and not one_of_all), one_of_all)
    strength = config.strength
    if isinstance(strength, str):
        strength = _choose(problem, held_back(targets, groups, seed))
    solved = problem.solve(strength)
    kernel = solved[:-1] if basis is None else basis.T @ solved[:-1]
    return DenseLayers((kernel,), (solved[-1],))


def _weights(targets: np.ndarray, balanced: bool) -> np.ndarray:
    """Weight of each answer, ``[n, k]``."""
    if not balanced:
        return np.ones_like(targets)
    share = np.clip(targets.mean(axis=0), 1 / len(targets), 1 - 1 / len(targets))
    return np.asarray(np.where(targets > 0.5, 0.5 / share, 0.5 / (1 - share)))


class _Problem:
    """The loss of weights ``[f + 1, k]``, the last row of which is the bias."""

    def __init__(self, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray, one_of_all: bool) -> None:
        self.rows, self.targets, self.weights, self.one_of_all = rows, targets, weights, one_of_all

    def of(self, chosen: np.ndarray) -> _Problem:
        """Return the problem of some of the rows."""
        return _Problem(self.rows[chosen], self.targets[chosen], self.weights[chosen], self.one_of_all)

    def losses(self, solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the loss of each row, summed over classes, ``[n]``, and its slope by logits ``[n, k]``."""
        from scipy.special import expit, log_softmax

        logits = self.rows @ solution[:-1] + solution[-1]
        if self.one_of_all:
            log_p = log_softmax(logits, axis=1)
            return -(self.targets * log_p).sum(axis=1), np.exp(log_p) - self.targets
        losses = np.logaddexp(0, logits) - self.targets * logits
        return (self.weights * losses).sum(axis=1), self.weights * (expit(logits) - self.targets)

    def solve(self, strength: float, start: np.ndarray | None = None, within: float = 1e-6) -> np.ndarray:
        """Minimise the mean loss plus ``strength`` times half the squared weights, to a slope ``within`` of 0."""
        from scipy.optimize import minimize

        shape = self.rows.shape[1] + 1, self.targets.shape[1]

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            solution = flat.reshape(shape)
            losses, slopes = self.losses(solution)
            kernel = solution[:-1]
            slope = np.vstack([self.rows.T @ slopes / len(slopes) + strength * kernel, slopes.mean(axis=0)[None]])
            # A class that never varies has no finite bias; this holds it at about 7.
            slope[-1] += 1e-4 * solution[-1]
            penalty = 0.5 * strength * (kernel**2).sum() + 0.5e-4 * (solution[-1] ** 2).sum()
            return float(losses.mean() + penalty), slope.ravel()

        begin = np.zeros(shape) if start is None else start
        options = {"maxiter": _ITERATIONS, "gtol": within}
        found = minimize(value, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
        return np.asarray(found.x).reshape(shape)


def _choose(problem: _Problem, folds: Sequence[np.ndarray]) -> float:
    """Choose the strength with the least loss on the rows that are held back; a middle one where none can be.

    From the greatest on, until the loss has risen twice.
    """
    if not folds:
        return 0.1
    parts = [(problem.of(~held), problem.of(held)) for held in folds]
    solutions: list[np.ndarray | None] = [None] * len(parts)
    totals: list[float] = []
    for strength in _STRENGTHS:
        total = 0.0
        for number, (rest, held) in enumerate(parts):
            found = solutions[number] = rest.solve(strength, solutions[number], 1e-4)
            total += float(held.losses(found)[0].sum())
        totals.append(total)
        if len(totals) > 2 and totals[-1] > totals[-2] > totals[-3]:
            break
    return float(_STRENGTHS[int(np.argmin(totals))])


def held_back(targets: np.ndarray, groups: np.ndarray, seed: int, most: int = 5) -> list[np.ndarray]:
    """Deal rows into folds to hold back in turn, bool ``[n]`` each; a group is never cut, classes are spread.

    Empty where all rows are of one group.
    """
    from ecotf.multilabel import stratified_parts

    names, number = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return []
    labels = np.zeros((len(names), targets.shape[1]))
    np.maximum.at(labels, number, (np.asarray(targets) > 0.5).astype(float))
    n_folds = min(most, len(names))
    parts = stratified_parts(labels, [1 / n_folds] * n_folds, seed)
    return [parts[number] == part for part in range(n_folds)]
