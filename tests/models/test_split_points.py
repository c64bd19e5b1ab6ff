"""Splits half way between training values: the same answers, and no tie that rounding decides."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.models.heads.split_points import with_splits_halfway


def boosted(
    features: np.ndarray, answers: np.ndarray, objective: str = "binary:logistic", **more: int
) -> xgboost.Booster:
    settings = {"objective": objective, "tree_method": "hist", "max_depth": 4, "seed": 1, "nthread": 1, **more}
    return xgboost.train(settings, xgboost.DMatrix(features, answers), 12)


def splits(booster: xgboost.Booster) -> list[tuple[int, float]]:
    trees = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
    return [
        (feature, limit)
        for tree in trees
        for left, feature, limit in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True
        )
        if left >= 0
    ]


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(2, 300), steps=st.sampled_from([2, 7, 1000]), seed=st.integers(0, 99))
def test_the_same_answers_for_all_that_was_trained_on(rows, steps, seed):
    rng = np.random.default_rng(seed)
    features = (rng.integers(0, steps, (rows, 3)) / np.float32(steps)).astype(np.float32)
    answers = (features[:, 0] + rng.normal(0, 0.2, rows) > 0.5).astype(int)
    before = boosted(features, answers)
    after = with_splits_halfway(before, features)
    np.testing.assert_array_equal(after.inplace_predict(features), before.inplace_predict(features))
    for feature, limit in splits(after):
        column = np.unique(features[:, feature])
        below, above = column[column < np.float32(limit)], column[column >= np.float32(limit)]
        if len(below) and len(above):
            assert np.float32(limit) == np.float32((float(below[-1]) + float(above[0])) / 2)


@pytest.mark.parametrize(("objective", "classes"), [("binary:logistic", 2), ("multi:softprob", 3)])
def test_rounding_does_not_change_the_answers(objective, classes):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 5)).astype(np.float32)
    answers = (features[:, :classes].argmax(axis=1)).astype(int)
    fitted = boosted(features, answers, objective, **({"num_class": classes} if classes > 2 else {}))
    moved = with_splits_halfway(fitted, features)
    rounded = features * (1 + rng.choice([-1e-6, 1e-6], features.shape).astype(np.float32))
    assert (fitted.inplace_predict(rounded) != fitted.inplace_predict(features)).any()
    np.testing.assert_array_equal(moved.inplace_predict(rounded), moved.inplace_predict(features))


def test_neighbouring_floats_stay_apart():
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2))
    features = np.tile([[low], [high]], (50, 1)).astype(np.float32)
    moved = with_splits_halfway(boosted(features, np.tile([0, 1], 50)), features)
    answers = moved.inplace_predict(features)
    assert (answers[0::2] < 0.5).all() and (answers[1::2] > 0.5).all()
