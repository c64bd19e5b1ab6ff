"""Bring columns of numbers to one scale, so that none of them decides alone what is close."""

from __future__ import annotations

from collections.abc import Sequence
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
