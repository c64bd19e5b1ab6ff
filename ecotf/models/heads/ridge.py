"""Ridge regression on embeddings: a head in closed form, its penalty chosen by groups that are left out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.models.heads.base import HEADS, TableHeadConfig
from ecotf.models.heads.dense_layers import DenseHead, DenseLayers, fit_dense, load_dense
from ecotf.models.heads.nearest_mean import platt
from ecotf.models.heads.several_labels import Strategy

_PENALTIES = 10.0 ** np.arange(-4.0, 4.1, 0.5)
_USUAL = 1.0  # where too few groups are there to leave one out


class RidgeConfig(TableHeadConfig):
    """Ridge regression of -1 and 1, with a sigmoid that makes probabilities of it.

    Attributes
    ----------
    strategy
        See `ecotf.models.heads.several_labels.fit_several`.
    penalty
        On the squared weights of standardised embeddings, beside the sum of squared errors; as a multiple of the mean
        squared length of an embedding, so that 1 means the same for few and for many numbers. ``chosen``: the one with
        the least squared error of groups that were left out, each in turn; in closed form, without fitting anew.
    """

    class_layers: ClassVar[tuple[str, ...]] = ()

    name: Literal["ridge"] = "ridge"
    strategy: Strategy = "one_vs_rest"
    penalty: float | Literal["chosen"] = Field("chosen")

    def load(self, folder: Path) -> DenseHead:
        """Read a fitted head."""
        return load_dense(folder)


@HEADS.register(RidgeConfig)
def fit_ridge(
    config: RidgeConfig,
    rows: np.ndarray,
    targets: np.ndarray,
    seed: int,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
    groups: np.ndarray | None = None,
) -> DenseHead:
    """Fit a ridge regression.

    Parameters
    ----------
    rows, targets, progress
        See `ecotf.models.heads.dense_layers.fit_dense`.
    groups
        int ``[n]``: rows of one recording or site, which are left out together. By default each row is one.
    """
    groups = np.arange(len(rows)) if groups is None else groups
    return fit_dense(config.strategy, partial(_fit, config, groups=groups), rows, targets, progress)


def _fit(
    config: RidgeConfig, rows: np.ndarray, targets: np.ndarray, one_of_all: bool, *, groups: np.ndarray
) -> DenseLayers:
    """Fit the weights of all columns of ``targets``, and the slope and offset that make logits of what they give."""
    mean, usual = rows.mean(axis=0), 2 * targets.mean(axis=0) - 1
    left, length, right = np.linalg.svd(rows - mean, full_matrices=False)
    wanted = 2 * targets - 1 - usual
    unit = float((length**2).sum()) / len(rows) + 1e-12
    places = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    # A class that only one group has is unknown when that group is left out.
    alone = any(len(np.unique(groups[targets[:, k] > 0.5])) == 1 for k in range(targets.shape[1]))
    penalty = config.penalty
    if isinstance(penalty, str):
        errors = [
            float((_left_out(left, length, wanted, unit * one, places) ** 2).sum()) for one in _PENALTIES
        ] if len(places) > 1 and not alone else []  # fmt: skip
        penalty = float(_PENALTIES[int(np.argmin(errors))]) if errors else _USUAL
    kernel = right.T @ ((length / (length**2 + unit * penalty))[:, None] * (left.T @ wanted))
    fitted = (rows - mean) @ kernel + usual
    if len(places) > 1 and not alone:
        fitted = 2 * targets - 1 - _left_out(left, length, wanted, unit * penalty, places)
    slope, offset = 1.0, np.zeros(targets.shape[1])
    varies = (targets > 0.5).any(axis=0) & (targets <= 0.5).any(axis=0)
    if varies.any():
        slope, middle = platt(fitted[:, varies].ravel(), targets[:, varies].ravel() > 0.5)
        offset = np.full(targets.shape[1], middle)
    bias = slope * (usual - mean @ kernel) + offset
    surely = np.log(len(rows) + 1)
    bias = np.where(varies, bias, np.where(targets.mean(axis=0) > 0.5, surely, -surely))
    return DenseLayers((np.where(varies, slope * kernel, 0).astype(np.float32),), (bias.astype(np.float32),))


def _left_out(
    left: np.ndarray, length: np.ndarray, wanted: np.ndarray, penalty: float, places: list[np.ndarray]
) -> np.ndarray:
    """Compute the error of each row in a fit without its group, ``[n, k]``: (1 - H_GG)^-1 times the error with it."""
    share = length**2 / (length**2 + penalty)
    n = len(left)
    errors = wanted - left @ (share[:, None] * (left.T @ wanted))
    if len(places) == n:  # each row by itself
        return np.asarray(errors / (1 - (left**2 @ share + 1 / n) + 1e-9)[:, None])
    result = np.empty_like(errors)
    for own in places:
        hat = (left[own] * share) @ left[own].T + 1 / n
        result[own] = np.linalg.solve(np.eye(len(own)) - hat + 1e-9 * np.eye(len(own)), errors[own])
    return result
