"""From scores of frames to events: peaks of each class's smoothed score, with the stretch around each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.datasets.labels import CALL_LABEL

if TYPE_CHECKING:
    import pandas as pd


class FrameEventsConfig(Config):
    """How events are found in scores of frames.

    Attributes
    ----------
    smooth_s
        Width (sigma) of a Gaussian over the frames; 0 for none.
    floor
        The lowest score of a candidate.
    gap_s
        Peaks closer than this are one event, the higher.
    edge
        An event ends where the score falls below this part of its peak.
    """

    smooth_s: float = Field(0.1, ge=0)
    floor: float = Field(0.01, ge=0, le=1)
    gap_s: float = Field(0.4, ge=0)
    edge: float = Field(0.5, gt=0, lt=1)


def find_events(
    probabilities: np.ndarray,
    times: np.ndarray,
    frame_s: float,
    classes: Sequence[str],
    band_hz: tuple[float, float],
    config: FrameEventsConfig,
    calls: bool = False,
) -> pd.DataFrame:
    """Find events.

    Parameters
    ----------
    probabilities
        ``[frames, classes]``
    times
        Middle of each frame, seconds.
    calls
        Also those of the greatest class, with the label ``call``, as detection is judged by.

    Returns
    -------
    ``start_s, end_s, low_hz, high_hz, label, score``, in order of time.
    """

    import pandas as pd

    tracks = [(name, probabilities[:, k]) for k, name in enumerate(classes)]
    if calls and len(classes):
        tracks.append((CALL_LABEL, probabilities.max(axis=1)))
    tables = [_events(track, times, frame_s, name, config) for name, track in tracks]
    found = pd.concat(tables, ignore_index=True).assign(low_hz=band_hz[0], high_hz=band_hz[1])
    columns = ["start_s", "end_s", "low_hz", "high_hz", "label", "score"]
    return found[columns].sort_values(["start_s", "label"], ignore_index=True)


def _events(track: np.ndarray, times: np.ndarray, frame_s: float, name: str, config: FrameEventsConfig) -> pd.DataFrame:
    import pandas as pd
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks, peak_widths

    smooth = np.asarray(track, np.float64)
    if config.smooth_s:
        smooth = gaussian_filter1d(smooth, config.smooth_s / frame_s, mode="nearest")
    # A frame of nothing at both ends, so that an event may begin or end with the recording.
    around = np.concatenate([[0.0], smooth, [0.0]])
    peaks, _ = find_peaks(around, height=max(config.floor, 1e-12), distance=max(1, round(config.gap_s / frame_s)))
    if not len(peaks):
        return pd.DataFrame({"start_s": [], "end_s": [], "label": pd.Series([], dtype=str), "score": []})
    heights = around[peaks]
    level = (heights, np.zeros(len(peaks), np.intp), np.full(len(peaks), len(around) - 1, np.intp))
    _, _, left, right = peak_widths(around, peaks, 1 - config.edge, prominence_data=level)
    kept: list[int] = []
    for i in np.argsort(-heights, kind="stable"):
        if not any(left[j] < peaks[i] < right[j] for j in kept):  # else it is a ripple of a higher one
            kept.append(int(i))
    left, right, heights = left[kept], right[kept], heights[kept]
    begin, end = times[0] - frame_s / 2, times[-1] + frame_s / 2
    # By each frame's own time: rows are no whole number of frames long, so the step from row to row is another one.
    moments = np.concatenate([[times[0] - frame_s], times, [times[-1] + frame_s]])
    left, right = (np.interp(place, np.arange(len(moments)), moments) for place in (left, right))
    return pd.DataFrame(
        {
            "start_s": np.clip(left, begin, end),
            "end_s": np.clip(right, begin, end),
            "label": name,
            "score": heights,
        }
    )
