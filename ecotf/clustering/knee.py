"""The knee of a rising curve: where it turns from flat to steep (Kneedle; Satopaa et al., ICDCSW 2011)."""

from __future__ import annotations

import numpy as np

_DEGREE = 7


def knee(values: np.ndarray, sensitivity: float = 1.0, smooth: bool = True) -> int:
    """Find the knee of sorted values, read from their steep end: the last place before they rise steeply.

    Parameters
    ----------
    values
        ``[n]``, rising, such as the sorted distances of points to their nearest neighbours.
    sensitivity
        How far the curve must bend away before a knee counts, in steps between neighbouring values; published 1.
    smooth
        Look at the polynomial of degree 7 that fits the values best, as published; otherwise at the values.

    Returns
    -------
    The index into ``values``. Where nothing bends clearly, that of the greatest distance from the straight line between
    both ends; where the values do not rise at all, the last.

    Examples
    --------
    >>> values = np.array([0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17, 0.60, 1.10])
    >>> knee(values, smooth=False)
    7
    """
    values = np.asarray(values, np.float64)
    if len(values) < 3 or values[-1] <= values[0]:
        return len(values) - 1
    x = np.linspace(0.0, 1.0, len(values))
    curve = np.polyval(np.polyfit(x, values, min(_DEGREE, len(values) - 1)), x) if smooth else values
    span = np.ptp(curve)
    if span <= 0:
        return len(values) - 1
    # A curve that bends upwards, seen from its steep end, is one that bends downwards: the case of the paper.
    height = 1 - (curve - curve.min())[::-1] / span
    above = height - x
    found = _first_knee(above, sensitivity / (len(values) - 1))
    return len(values) - 1 - (int(np.argmax(above)) if found is None else found)


def _first_knee(above: np.ndarray, step: float) -> int | None:
    """The first maximum after which the curve falls by more than ``step`` before a minimum; None if there is none."""
    before, after = above[:-2], above[2:]
    peak = np.concatenate([[False], (above[1:-1] >= before) & (above[1:-1] >= after), [False]])
    valley = np.concatenate([[False], (above[1:-1] <= before) & (above[1:-1] <= after), [False]])
    at, threshold = None, 0.0
    for place in range(len(above) - 1):
        if peak[place]:
            at, threshold = place, above[place] - step
        if at is None:
            continue
        if valley[place]:
            threshold = 0.0
        if above[place + 1] < threshold:
            return at
    return None
