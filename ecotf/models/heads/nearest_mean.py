"""The nearest mean of a class's embeddings: what is known of a class after one example or a few.

As it is (Snell et al., NeurIPS 2017, on embeddings that are given), or after the mean of all examples was taken away
and each embedding was brought to length 1: CL2N of SimpleShot (Wang et al. 2019, arXiv:1911.04623).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from ecotf.errors import ConfigError, DataError
from ecotf.files import reading_arrays
from ecotf.models.heads.base import HEADS, TableHeadConfig

_ARRAYS = "means.npz"
_SURE = 3.0  # the logit of an example that lies on the mean of its class, where there is but one
_LEAST = 1e-12


class NearestMeanConfig(TableHeadConfig):
    """The nearest mean of a class; with both options CL2N, with neither the nearest mean by squared distance.

    Attributes
    ----------
    centred
        Take the mean of all examples away from every embedding first.
    normalised
        Then bring every embedding to length 1, before the means are computed.
    """

    class_layers: ClassVar[tuple[str, ...]] = ()

    name: Literal["nearest_mean"] = "nearest_mean"
    centred: bool = True
    normalised: bool = True

    def load(self, folder: Path) -> NearestMean:
        """Read a fitted head."""
        return load_nearest_mean(folder)


@dataclass(frozen=True)
class NearestMean:
    """Fitted means: rows ``[n, f]`` in, a probability of each class, by itself, out.

    A class's probability is the sigmoid of ``scale`` * similarity + ``bias``, where similarity is the squared distance
    to its mean, negative. A class is added, taken away or given a threshold of its own by its row alone.

    Attributes
    ----------
    centre
        float32 ``[f]``, taken away from every row; 0 where rows are not centred.
    means
        float32 ``[classes, f]``, of rows without the centre and, if ``normalised``, of length 1.
    scale
        Above 0, the same for all classes: with equal biases the likeliest class is that of the nearest mean.
    bias
        float32 ``[classes]``; a class's threshold at a half lies at the similarity -``bias`` / ``scale``.
    """

    centre: np.ndarray
    means: np.ndarray
    scale: float
    bias: np.ndarray
    normalised: bool

    @property
    def n_parameters(self) -> int:
        """Numbers that were fitted."""
        return int(self.centre.size + self.means.size + 1 + self.bias.size)

    def seen(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as the means are: without the centre and, if ``normalised``, of length 1; float64 ``[n, f]``."""
        return _seen(rows, self.centre, self.normalised)

    def similarity(self, rows: np.ndarray) -> np.ndarray:
        """Compute the negative squared distance to each mean, float64 ``[n, classes]``."""
        return _similarity(self.seen(rows), self.means)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Compute probabilities, float64 ``[n, classes]``."""
        from scipy.special import expit

        return np.asarray(expit(self.scale * self.similarity(rows) + self.bias))

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        np.savez(
            folder / _ARRAYS, centre=self.centre, means=self.means, bias=self.bias,
            scale=np.array(self.scale), normalised=np.array(self.normalised),
        )  # fmt: skip


def load_nearest_mean(folder: Path) -> NearestMean:
    """Read what `NearestMean.save` wrote; raises `ConfigError`."""
    try:
        with reading_arrays(folder / _ARRAYS, "the head of a run") as kept:
            return NearestMean(
                kept["centre"], kept["means"], float(kept["scale"]), kept["bias"], bool(kept["normalised"])
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder}: the head is damaged ({error}); copy the run again, or train anew") from None


@HEADS.register(NearestMeanConfig)
def fit_nearest_mean(
    config: NearestMeanConfig,
    rows: np.ndarray,
    targets: np.ndarray,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    groups: np.ndarray | None = None,
    centre: np.ndarray | None = None,
) -> NearestMean:
    """Compute the means, and from distances of rows that were left out of their own mean what makes them probable.

    Parameters
    ----------
    rows
        float ``[n, f]``.
    targets
        0 to 1, ``[n, k]``; above a half is yes. Rows of no class are what no class shall be taken for.
    groups
        int ``[n]``: rows of one recording, which are left out together. By default each row is one.
    centre
        ``[f]``: what is taken away, in place of the mean of ``rows``; of a background, for example.

    Raises
    ------
    DataError
        Nothing is left of the rows when their mean is taken away: there is but one, or all are the same.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0], [0.9, 0.1]])
    >>> head = fit_nearest_mean(NearestMeanConfig(), rows, np.eye(2)[[0, 0, 1, 1]])
    >>> head.predict(rows).argmax(axis=1)
    array([0, 0, 1, 1])
    """
    rows, there = np.asarray(rows, np.float64), np.asarray(targets) > 0.5
    groups = np.arange(len(rows)) if groups is None else np.asarray(groups)
    if centre is None:
        centre = rows.mean(axis=0) if config.centred else np.zeros(rows.shape[1])
        if config.centred and np.abs(rows - centre).max(initial=0) <= 1e-9 * np.abs(rows).max(initial=_LEAST):
            raise DataError(
                f"head {config.name}: all {len(rows)} examples have the same embedding, so nothing is left when their "
                "mean is taken away; add examples of something else, or set centred to false"
            )
    centre = np.asarray(centre, np.float32)
    seen = _seen(rows, centre, config.normalised)
    counts = there.sum(axis=0)
    means = (there.T @ seen / np.maximum(counts, 1)[:, None]).astype(np.float32)
    scale, bias = _calibrated(seen, there, groups, means)
    head = NearestMean(centre, means, scale, np.full(len(means), bias, np.float32), config.normalised)
    if progress is not None:
        progress(len(means), len(means))
    return replace(head, bias=_of_constant_classes(head, rows, counts))


def _seen(rows: np.ndarray, centre: np.ndarray, normalised: bool) -> np.ndarray:
    values = np.asarray(rows, np.float64) - centre
    if not normalised:
        return values
    return np.asarray(values / np.sqrt(np.maximum((values**2).sum(axis=1, keepdims=True), _LEAST)))


def _similarity(seen: np.ndarray, means: np.ndarray) -> np.ndarray:
    wide = means.astype(np.float64)
    squares = (seen**2).sum(axis=1)[:, None] + (wide**2).sum(axis=1)
    return np.asarray(np.minimum(2 * seen @ wide.T - squares, 0))


def _calibrated(seen: np.ndarray, there: np.ndarray, groups: np.ndarray, means: np.ndarray) -> tuple[float, float]:
    """Fit the scale and the bias that all classes share, to rows that were left out of the mean of their class."""
    similarity, known = _similarity(seen, means), np.ones(there.shape, bool)
    for k in range(there.shape[1]):
        for group in np.unique(groups[there[:, k]]):
            own, others = there[:, k] & (groups == group), there[:, k] & (groups != group)
            known[own, k] = others.any()
            if others.any():
                similarity[own, k] = -((seen[own] - seen[others].mean(axis=0)) ** 2).sum(axis=1)
    varies = there.any(axis=0) & ~there.all(axis=0)
    near = similarity[:, varies][there[:, varies] & known[:, varies]]
    far = similarity[:, varies][~there[:, varies]]
    if len(near) and len(far):
        return platt(np.concatenate([near, far]), np.arange(len(near) + len(far)) < len(near))
    # One example of each class: the border lies half way to the others, or at the length of an embedding.
    usual = far.mean() if len(far) else -(seen**2).sum(axis=1).mean()
    scale = 2 * _SURE / max(-float(usual), _LEAST)
    return scale, _SURE


def _of_constant_classes(head: NearestMean, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the biases; a class that no row has, or all have, keeps that answer as surely as so many rows allow."""
    bias, likely = head.bias.copy(), np.log(len(rows) + 1)
    bias[counts == 0] = -likely
    if len(head.means) > 1:
        always = counts == len(rows)
        bias[always] = likely - head.scale * head.similarity(rows)[:, always].min(initial=0)
    return bias


def platt(scores: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Fit the slope, above 0, and the offset that make probabilities of scores (Platt 1999).

    Parameters
    ----------
    scores
        float ``[n]``: the higher, the likelier.
    right
        bool ``[n]``, some of each.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    n_right, n_wrong = int(right.sum()), int((~right).sum())
    # Platt's targets are never sure, so that scores without any mistake have a finite slope.
    targets = np.where(right, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))
    middle, spread = float(scores.mean()), max(float(scores.std()), _LEAST)
    standard = (scores - middle) / spread

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        logits = values[0] * standard + values[1]
        slope = (expit(logits) - targets) / len(scores)
        return float((np.logaddexp(0, logits) - targets * logits).mean()), np.array([slope @ standard, slope.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.05, None), (None, None)])
    slope, offset = found.x
    return float(slope / spread), float(offset - slope * middle / spread)
