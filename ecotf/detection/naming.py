"""From candidates to detections: thresholds, and a name for every call, if only the name of a bat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.labels import CALL_LABEL

if TYPE_CHECKING:
    import pandas as pd

UNNAMED_LABEL = "bat"
"""The label of a call that no species' score is sure enough of."""


def name_calls(candidates: pd.DataFrame, thresholds: Mapping[str, float], unnamed: bool = True) -> pd.DataFrame:
    """Keep what reaches its threshold.

    Parameters
    ----------
    candidates
        Of one recording: ``start_s, end_s, low_hz, high_hz, label, score``.
    thresholds
        Of every species and of ``call``.
    unnamed
        Whether a call that is found, but that no species is named for, is kept with the label ``bat``.

    Returns
    -------
    Detections, in order of time.
    """

    import pandas as pd

    level = candidates["label"].map(dict(thresholds)).to_numpy(float)
    kept = candidates[candidates["score"].to_numpy(float) >= level]
    species = kept[kept["label"] != CALL_LABEL]
    if not unnamed:
        return species.reset_index(drop=True)
    calls = kept[kept["label"] == CALL_LABEL]
    starts = np.sort(species["start_s"].to_numpy(float))
    ends = species["end_s"].to_numpy(float)[np.argsort(species["start_s"].to_numpy(float), kind="stable")]
    latest = np.maximum.accumulate(ends) if len(ends) else ends
    # A species' box overlaps the call when the latest end of those that start before the call's end is after its start.
    before = np.searchsorted(starts, calls["end_s"].to_numpy(float), side="left")
    named = np.zeros(len(calls), bool)
    some = before > 0
    named[some] = latest[before[some] - 1] > calls["start_s"].to_numpy(float)[some]
    rest = calls[~named].assign(label=UNNAMED_LABEL)
    return pd.concat([species, rest]).sort_values(["start_s", "label"], ignore_index=True)
