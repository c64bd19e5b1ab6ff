"""Hard negative mining: what the last model took for calls becomes training material (Dierckx et al., IDA 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.false_alarms import FalseAlarmsConfig, far_from_all
from ecotf.pipelines.patches import PatchTable, empty_patches
from ecotf.tasks.calls.data import TrainingData

if TYPE_CHECKING:
    import pandas as pd


class MiningConfig(FalseAlarmsConfig):
    """Rounds of mining; after each, everything is trained again from scratch on the enlarged set.

    Attributes
    ----------
    rounds
        Number of rounds; 0 trains once.
    distance_s
        A call with no detection of its species this near is a missed one, too.
    shift_s
        A missed call is added twice, this much early and late.
    keep
        Which round's model is the run's: the ``best`` on the validation recordings, or the ``last``, as published.
    """

    rounds: int = Field(0, ge=0)
    shift_s: float = Field(0.0006, ge=0)
    keep: Literal["best", "last"] = "best"


def mine_patches(
    data: TrainingData,
    candidates: Mapping[str, pd.DataFrame],
    config: MiningConfig,
    thresholds: Mapping[str, float],
    merge_s: float,
) -> PatchTable:
    """Find false detections and missed calls in the training recordings.

    Parameters
    ----------
    candidates
        For each training recording, its candidates.
    thresholds
        Of each species; a call is missed when nothing of its species reaches its threshold.
    merge_s
        As in `PatchesConfig`: a missed call's patches are labelled with every call at the same time.

    Returns
    -------
    Patches to add to the training set.
    """
    mined = empty_patches(len(data.species))
    code = {label: index for index, label in enumerate(data.species)}
    for index, recording in enumerate(data.manifest.recordings):
        if recording not in candidates:
            continue
        found = candidates[recording]
        middle = ((found["start_s"] + found["end_s"]) / 2).to_numpy(float)
        label = found["label"].to_numpy(str)
        calls = data.calls_of(recording)
        starts, ends = calls["start_s"].to_numpy(float), calls["end_s"].to_numpy(float)

        at = np.sort(middle[(label == CALL_LABEL) & (found["score"].to_numpy(float) > config.score)])
        false = at[far_from_all(at, starts, ends, config.distance_s)]
        times, targets = [false], [np.zeros((len(false), len(data.species)), np.uint8)]

        level = found["label"].map(lambda name: thresholds.get(name, config.score)).to_numpy(float)
        kept = found["score"].to_numpy(float) >= level
        for start, end, species in zip(starts, ends, calls["label"], strict=True):
            if species not in code:
                continue
            hits = (middle > start - config.distance_s) & (middle < end + config.distance_s)
            if not (hits & kept & (label == species)).any():
                together = np.abs(starts + ends - start - end) / 2 <= merge_s
                target = np.zeros((2, len(data.species)), np.uint8)
                target[:, [code[name] for name in calls["label"][together] if name in code]] = 1
                times.append((start + end) / 2 + config.shift_s * np.array([-1.0, 1.0]))
                targets.append(target)
        added = np.concatenate(times)
        mined = mined.joined(PatchTable(np.full(len(added), index), added, np.concatenate(targets)))
    return mined
