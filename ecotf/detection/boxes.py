"""The box of a call: where its energy starts and ends, in time and in frequency, around a peak of the score."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ecotf._kernels import events as kernels
from ecotf.config import Config
from ecotf.features.peaks import strongest_rows


class BoxConfig(Config):
    """How far around a score's peak a call is looked for, and where its edges are.

    Attributes
    ----------
    search_s
        The strongest slice is looked for this far on either side of the peak.
    reach_s
        A box ends at the latest this far from its strongest slice.
    edge
        An edge is where the strongest row falls under this share of its peak in the (logarithmic) spectrogram.
    """

    search_s: float = Field(0.006, ge=0)
    reach_s: float = Field(0.04, gt=0)
    edge: float = Field(0.5, gt=0, lt=1)


def measure_boxes(
    values: np.ndarray,
    centres: np.ndarray,
    hop_s: float,
    config: BoxConfig,
    separate: bool = False,
    strongest: np.ndarray | None = None,
) -> np.ndarray:
    """Measure a box around each peak.

    Parameters
    ----------
    values
        float32 ``[slices, rows]``, denoised: 0 where nothing sounds.
    centres
        Slice of each peak, ``[n]``, in order.
    separate
        The peaks are peaks: a box stays around its own, and ends at the latest in the valley before the next.
    strongest
        What `ecotf.features.peaks.strongest_rows` gives for ``values``, where it is known already.

    Returns
    -------
    int ``[n, 4]``: first and last slice, lowest and highest row; the edges are inside of the box.
    """
    search, reach = round(config.search_s / hop_s), round(config.reach_s / hop_s)
    values = np.ascontiguousarray(values, np.float32)
    strongest = strongest_rows(values) if strongest is None else strongest
    return np.asarray(
        kernels.measure_boxes(values, strongest, np.asarray(centres, np.intp), search, reach, config.edge, separate)
    )


def drop_overlapping(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which boxes stay: a box goes when a stronger one of the list shares over half of the shorter one's time.

    Whether a box stays depends on its neighbours alone, so a recording handled in pieces gives what it gives whole.

    Parameters
    ----------
    boxes
        int ``[n, 4]`` of one label, ordered by time of the peak.

    Returns
    -------
    bool ``[n]``
    """
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
