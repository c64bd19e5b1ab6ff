"""Bring columns of numbers to one scale, so that none of them decides alone what is close."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Scale = Literal["min_max", "standard", "none"]


def scaled(blocks: Sequence[np.ndarray], scale: Scale = "min_max") -> np.ndarray:
    """Scale columns, and put them side by side.

    Parameters
    ----------
    blocks
        Each ``[n]`` or ``[n, columns]``; all columns of one block have one scale together, as the published shape
        features have.
    scale
        ``min_max``: from 0 to 1. ``standard``: mean 0, standard deviation 1. ``none``: as they are. A block in which
        all numbers are equal becomes 0.

    Returns
    -------
    float64 ``[n, all columns]``

    Examples
    --------
    >>> scaled([np.array([1.0, 3.0]), np.array([[0.0, 5.0], [10.0, 5.0]])]).tolist()
    [[0.0, 0.0, 0.5], [1.0, 1.0, 0.5]]
    """
    return np.concatenate([_one(np.asarray(block, np.float64).reshape(len(block), -1), scale) for block in blocks], 1)


def _one(block: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "none" or not block.size:
        return block
    shift, size = (block.min(), np.ptp(block)) if scale == "min_max" else (block.mean(), block.std())
    return (block - shift) / (size if size > 0 else 1.0)


RowScale = Literal["min_max", "standard", "unit", "none"]


@dataclass(frozen=True)
class FittedScale:
    """A scale that was fitted to rows of numbers, each column for itself.

    Attributes
    ----------
    shift, size
        float64 ``[columns]``: rows become ``(rows - shift) / size``.
    unit
        Then each row is brought to length 1; a row of zeros stays as it is.
    """

    shift: np.ndarray
    size: np.ndarray
    unit: bool = False

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Scale rows ``[n, columns]``: float32."""
        scaled = ((np.asarray(rows, np.float32) - self.shift) / self.size).astype(np.float32)
        if not self.unit:
            return scaled
        length = np.linalg.norm(scaled.astype(np.float64), axis=1, keepdims=True)
        return (scaled / np.where(length > 0, length, 1.0)).astype(np.float32)


def fit_scale(blocks: Iterable[np.ndarray], scale: RowScale) -> FittedScale:
    """Fit a scale to rows that come in blocks; memory holds one block.

    Parameters
    ----------
    blocks
        Rows ``[n, columns]`` each, without NaN.
    scale
        ``min_max``: each column from 0 to 1, as published for Darksound. ``standard``: each column with mean 0 and
        deviation 1. ``unit``: each row of length 1, so that distances are those of angles. ``none``.

    Examples
    --------
    >>> fit_scale([np.array([[1.0, 5.0]]), np.array([[3.0, 5.0]])], "min_max")(np.array([[2.0, 5.0]])).tolist()
    [[0.5, 0.0]]
    """
    count = 0
    low = high = total = squares = np.zeros(0)
    for block in blocks:
        rows = np.asarray(block, np.float64)
        if not len(rows):
            continue
        if not count:
            low, high = rows.min(axis=0), rows.max(axis=0)
            first, total, squares = rows[0], np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
        count += len(rows)
        low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
        # Around the first row, so that nothing is lost where columns are far from 0 and hardly vary.
        total, squares = total + (rows - first).sum(axis=0), squares + ((rows - first) ** 2).sum(axis=0)
    if scale == "min_max":
        shift, size = low, high - low
    elif scale == "standard" and count:
        mean = total / count
        shift, size = first + mean, np.sqrt(np.maximum(0.0, squares / count - mean**2))
    else:
        shift, size = np.zeros(len(low)), np.ones(len(low))
    still = size <= 1e-6 * np.maximum(np.abs(low), np.abs(high))
    return FittedScale(shift, np.where(still | (size <= 0), 1.0, size), scale == "unit")
