"""Intervals of the metrics of clips: whole recordings, or whole groups of them, are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ecotf.evaluation.bootstrap import (
    Interval,
    interval,
    mean_defined,
    resample_weights,
    resampled_auc,
    resampled_detection,
)
from ecotf.evaluation.matching import Floats, Track


@dataclass(frozen=True)
class Resampling:
    """How the intervals of segments are made.

    Attributes
    ----------
    units
        What is drawn whole, one for each segment: its recording, or the group of its recording.
    by
        Which of the two.
    n_bootstrap, seed
        Resamples, and the seed of the draws.
    """

    units: Sequence[str]
    by: Literal["recording", "group"] = "recording"
    n_bootstrap: int = 1000
    seed: int = 0


def d_prime(area: npt.ArrayLike) -> Floats:
    """Return the separation of two normal distributions of equal width that have this area under their ROC curve.

    ``sqrt(2) * ppf(area)``, as for AudioSet (Gemmeke et al. 2017); 0 for an area of 0.5, infinite for 1.

    Examples
    --------
    >>> print(f"{float(d_prime(0.973)):.3f}")
    2.725
    """
    from scipy.stats import norm

    return np.asarray(np.sqrt(2.0) * norm.ppf(np.asarray(area, np.float64)))


def ranking_intervals(truth: npt.ArrayLike, scores: npt.ArrayLike, how: Resampling) -> dict[str, Any]:
    """Return the 95 % intervals of the means over classes, and of each class.

    Parameters
    ----------
    truth, scores
        ``[segments, classes]``; a class is present above 0.

    Returns
    -------
    dict
        ``cmap_interval``, ``roc_auc_interval``, ``d_prime_interval``, ``settings``, and ``classes``: for each class
        ``ap_interval``, ``roc_auc_interval``, ``d_prime_interval`` and ``n_units``, the recordings or groups that have
        it. ``[None, None]`` where fewer than two have it: one is drawn all or none, and says nothing of others.
    """
    present, score = np.asarray(truth) > 0, np.asarray(scores, np.float64)
    names, unit = np.unique(np.asarray(how.units, dtype=str), return_inverse=True)
    weights = resample_weights(len(names), how.n_bootstrap, how.seed)
    precisions, areas, classes = [], [], []
    for k in range(present.shape[1]):
        own = np.bincount(unit[present[:, k]], minlength=len(names))
        track = Track(score[:, k], present[:, k], unit, own)
        precisions.append(resampled_detection(track, np.inf, weights)["ap"])
        areas.append(resampled_auc(track, weights))
        n_units = int(np.count_nonzero(own))
        several = n_units >= 2
        area: Interval = interval(areas[-1], weights) if several else [None, None]
        classes.append(
            {
                "ap_interval": interval(precisions[-1], weights) if several else [None, None],
                "roc_auc_interval": area,
                "d_prime_interval": _separation(area),
                "n_units": n_units,
            }
        )
    whole = interval(mean_defined(np.stack(areas, axis=1)), weights)
    return {
        "cmap_interval": interval(mean_defined(np.stack(precisions, axis=1)), weights),
        "roc_auc_interval": whole,
        "d_prime_interval": _separation(whole),
        "classes": classes,
        "settings": {
            "n_bootstrap": how.n_bootstrap,
            "seed": how.seed,
            "resampled_by": how.by,
            "n_resampled": len(names),
        },
    }


def _separation(areas: Interval) -> Interval:
    return [None if area is None else float(d_prime(area)) for area in areas]
