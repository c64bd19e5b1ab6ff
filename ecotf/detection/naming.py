"""From candidates to detections: thresholds, and a name for every call, if only the name of a bat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.view import no_detections

if TYPE_CHECKING:
    import pandas as pd

UNNAMED_LABEL = "bat"
"""The label of a call that no species' score is sure enough of."""


class NamingStream:
    """Names candidates as they come; together the rows of `name_calls` on all of them.

    Attributes
    ----------
    settled_s
        All detections that begin before this are out.
    """

    def __init__(self, thresholds: Mapping[str, float], unnamed: bool = True) -> None:
        self._thresholds, self._unnamed = dict(thresholds), unnamed
        self._pool = no_detections()
        self.settled_s = -np.inf

    def push(self, candidates: pd.DataFrame, until_s: float = np.inf) -> pd.DataFrame:
        """Take candidates; return the detections that begin before ``until_s``, in order of time.

        No candidate to come may begin before ``until_s``, nor overlap a call that does.
        """
        import pandas as pd

        candidates = candidates[_reach_thresholds(candidates, self._thresholds)]
        pool = pd.concat([self._pool, candidates], ignore_index=True)
        named = name_calls(pool, self._thresholds, self._unnamed)
        start_s = named["start_s"].to_numpy(float)
        settled = named[(start_s >= self.settled_s) & (start_s < until_s)].reset_index(drop=True)
        # What is out may still give its name to a later call.
        is_late = pool["start_s"] >= until_s
        self._pool = pool[is_late | ((pool["label"] != CALL_LABEL) & (pool["end_s"] > until_s))]
        self.settled_s = until_s
        return settled


def name_calls(candidates: pd.DataFrame, thresholds: Mapping[str, float], unnamed: bool = True) -> pd.DataFrame:
    """Keep what reaches its threshold.

    Parameters
    ----------
    candidates
        Of one recording, with the columns of a table of detections.
    thresholds
        Of every species and of ``call``.
    unnamed
        Whether a call that is found, but that no species is named for, is kept with the label ``bat``.

    Returns
    -------
    Detections, in order of time.
    """
    import pandas as pd

    kept = candidates[_reach_thresholds(candidates, thresholds)]
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


def _reach_thresholds(candidates: pd.DataFrame, thresholds: Mapping[str, float]) -> np.ndarray:
    level = candidates["label"].map(dict(thresholds)).to_numpy(float)
    return np.asarray(candidates["score"].to_numpy(float) >= level)
