"""Splits of trees half way between the training values on either side.

XGBoost splits exactly at a training value. A recorder computes the same features to float precision, not bit for bit,
so a call that was trained on would fall to either side by chance.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray


def with_splits_halfway(booster: Any, features: NDArray[np.float32]) -> Any:
    """A booster that says the same of ``features``, on which it was fitted, and errs least by rounding.

    Parameters
    ----------
    booster
        An `xgboost.Booster` of trees.
    features
        float32 ``[n, f]``: all rows that it was fitted on.
    """
    import xgboost

    model = json.loads(bytes(booster.save_raw("json")))
    values: dict[int, NDArray[np.float32]] = {}
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        limits = tree["split_conditions"]
        for node, (left, feature) in enumerate(zip(tree["left_children"], tree["split_indices"], strict=True)):
            if left < 0:
                continue  # of a leaf the number is its answer
            if feature not in values:
                values[feature] = np.unique(features[:, feature])
            limits[node] = _halfway(values[feature], np.float32(limits[node]))
    moved = xgboost.Booster()
    moved.load_model(bytearray(json.dumps(model), "ascii"))
    return moved


def _halfway(values: NDArray[np.float32], limit: np.float32) -> float:
    """The middle between the last of the sorted ``values`` below ``limit`` and the next, if there are both."""
    above = int(np.searchsorted(values, limit))
    if not 0 < above < len(values):
        return float(limit)
    middle = np.float32((float(values[above - 1]) + float(values[above])) / 2)
    # Of neighbours in float32 the middle is one of the two; what is at the limit goes with those above.
    return float(middle if middle > values[above - 1] else values[above])
