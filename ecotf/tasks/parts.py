"""One part of a channel: what begins in it, to the bit as the whole channel would give it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ecotf.detection.view import in_order
from ecotf.tasks.base import ScoreStream

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def detections_of_part(
    stream: ScoreStream, blocks: Iterable[np.ndarray], start_s: float, stop_s: float | None
) -> pd.DataFrame:
    """Listen until all that begins in a part is out.

    Parameters
    ----------
    stream
        From `ecotf.tasks.base.Cuts.open`.
    blocks
        The sound from `ecotf.tasks.base.Cuts.first_sample` to the end of the channel; only what is needed is read.
    start_s, stop_s
        Where the part begins, and where the next one does; None for the last part.
    """
    tables = []
    for block in blocks:
        tables.append(stream.push(block))
        if stop_s is not None and stream.settled_s >= stop_s:
            break
    else:
        tables.append(stream.finish())
    found = in_order(tables)
    inside = found["start_s"] >= start_s
    if stop_s is not None:
        inside &= found["start_s"] < stop_s
    return found[inside].reset_index(drop=True)
