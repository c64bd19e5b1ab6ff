"""Weights that make rare classes count as much as frequent ones."""

from __future__ import annotations

import numpy as np


def balanced_class_weights(counts: np.ndarray, n: int) -> np.ndarray:
    """Weigh classes so that all that occur count the same, ``n / (classes that occur * count)``, in ``[k]``.

    Parameters
    ----------
    counts
        How often each class occurs, ``[k]``; a class that does not occur weighs 0.
    n
        Samples in all.

    Examples
    --------
    >>> balanced_class_weights(np.array([1, 3]), 4)
    array([2.        , 0.66666667])
    """
    present = max(int(np.count_nonzero(counts)), 1)
    return np.where(counts > 0, n / (present * np.maximum(counts, 1)), 0)


def balanced_weights(targets: np.ndarray) -> np.ndarray:
    """Weigh samples so that every class counts the same: the mean of the weights of a sample's classes.

    Parameters
    ----------
    targets
        0 or 1, ``[n, k]``; a row of zeros has weight 1.

    Returns
    -------
    float32 ``[n]``
    """
    per_class = balanced_class_weights(targets.sum(axis=0), len(targets))
    n_labels = targets.sum(axis=1)
    weights = np.where(n_labels > 0, targets @ per_class / np.maximum(n_labels, 1), 1.0)
    return weights.astype(np.float32)


def power_class_weights(counts: np.ndarray, n: int, power: float) -> np.ndarray:
    """Weigh classes by (count / n) ** power, float32 ``[k]``; a class that does not occur weighs as one of one sample.

    >>> power_class_weights(np.array([1, 4]), 4, -0.5)
    array([2., 1.], dtype=float32)
    """
    return np.asarray((np.maximum(counts, 1) / max(1, n)) ** power, np.float32)
