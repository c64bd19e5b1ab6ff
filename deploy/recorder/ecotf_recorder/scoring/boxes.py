"""The box of a call: where its energy starts and ends, in time and in frequency, around a peak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BoxSettings:
    """Limits of a call around its peak, in seconds, and the share of the peak at which it ends."""

    search_s: float
    reach_s: float
    edge: float

    @classmethod
    def read(cls, facts: Mapping[str, float]) -> BoxSettings:
        """From ``model.json``."""
        return cls(*(float(facts[name]) for name in cls.__dataclass_fields__))


def measure_boxes(
    values: NDArray[np.float32], centres: NDArray[np.intp], hop_s: float, settings: BoxSettings, separate: bool
) -> NDArray[np.intp]:
    """Measure a box around each peak.

    Parameters
    ----------
    values
        float32 ``[slices, rows]``, denoised: 0 where nothing sounds.
    centres
        Slice of each peak, ``[n]``, in order.
    separate
        The peaks are peaks: a box stays around its own, and ends at the latest in the valley before the next.

    Returns
    -------
    ``[n, 4]``: first and last slice, lowest and highest row; the edges are inside of the box.
    """
    search, reach = round(settings.search_s / hop_s), round(settings.reach_s / hop_s)
    strength = values.max(axis=1) if len(values) else np.empty(0, np.float32)
    boxes = np.empty((len(centres), 4), np.intp)
    for index, centre in enumerate(centres):
        low, high = max(0, centre - search), min(len(values), centre + search + 1)
        peak = int(centre) if separate else low + int(strength[low:high].argmax())
        begin, end = max(0, peak - reach), min(len(values), peak + 1 + reach)
        if separate and index:
            begin = max(begin, _valley(strength, centres[index - 1], peak))
        if separate and index + 1 < len(centres):
            end = min(end, _valley(strength, peak, centres[index + 1]) + 1)
        level = settings.edge * strength[peak]
        first = peak - _run(strength[begin:peak][::-1], level)
        last = peak + _run(strength[peak + 1 : end], level)
        rows = np.flatnonzero(values[first : last + 1].max(axis=0) > level)
        boxes[index] = first, last, *((rows[0], rows[-1]) if len(rows) else (0, values.shape[1] - 1))
    return boxes


def _run(strength: NDArray[np.float32], level: float) -> int:
    """Count the values from the start that stay above ``level``."""
    below = np.flatnonzero(strength <= level)
    return int(below[0]) if len(below) else len(strength)


def _valley(strength: NDArray[np.float32], left: int, right: int) -> int:
    """The weakest slice between two peaks."""
    return int(left) + int(strength[left : right + 1].argmin())


def drop_overlapping(boxes: NDArray[np.intp], scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Select the boxes of one label: drop one if a stronger one shares over half of the shorter one's time."""
    keep = np.ones(len(boxes), bool)
    order = np.argsort(boxes[:, 0], kind="stable")
    for place, this in enumerate(order):
        for other in order[place + 1 :]:
            if boxes[other, 0] > boxes[this, 1]:
                break
            shared = min(boxes[this, 1], boxes[other, 1]) - boxes[other, 0] + 1
            shorter = min(boxes[this, 1] - boxes[this, 0], boxes[other, 1] - boxes[other, 0]) + 1
            if 2 * shared > shorter:
                keep[other if scores[other] <= scores[this] else this] = False
    return keep
