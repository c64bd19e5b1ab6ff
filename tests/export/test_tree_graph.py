"""Trees as TFLite operators, in the runtime of a device, against XGBoost."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost
from convert_here import convert_stage
from tflite_runtime.interpreter import Interpreter

from ecotf.errors import ConfigError
from ecotf.export.prove.parity import reference_margins
from ecotf.export.stages.stage import Stage, TensorKind
from ecotf.export.stages.trees import node_tables, trees_function
from ecotf.models.heads.trees import Trees, TreesConfig, fit_trees

N_FEATURES = 6


def small(**settings: object) -> TreesConfig:
    return TreesConfig(**{"n_estimators": 15, "max_depth": 5, "subsample": 1.0, "min_child_weight": 0.1, **settings})


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    values = np.random.default_rng(2).normal(size=(300, N_FEATURES)).astype(np.float32)
    values[:20] = np.round(values[:20])  # zeros and equal values, which meet thresholds exactly
    return values


def targets_of(features: np.ndarray) -> np.ndarray:
    first, second = features[:, 0] > 0.1, features[:, 1] + features[:, 2] > 0.5
    return np.stack([~(first | second), first, second, first & second], axis=1)


def in_the_runtime(trees: Trees, features: np.ndarray) -> dict[str, np.ndarray]:
    inputs = {"features": TensorKind((1, features.shape[1]))}
    predict = trees_function(trees)
    content = convert_stage(Stage("trees", lambda features: predict(features), inputs), "f32")
    runner = Interpreter(model_content=content, num_threads=1)
    runner.allocate_tensors()
    run = runner.get_signature_runner()
    given = [run(features=row[None]) for row in features]
    return {name: np.concatenate([outputs[name] for outputs in given]) for name in given[0]}


@pytest.mark.parametrize("strategy", ["one_vs_rest", "chain", "powerset"])
def test_margins_are_the_same_to_the_bit(strategy, features):
    trees = fit_trees(small(strategy=strategy), features, targets_of(features), seed=3, threads=1)
    given = in_the_runtime(trees, features)
    np.testing.assert_array_equal(given["margins"], reference_margins(trees, features))
    assert np.abs(given["scores"] - trees.predict(features)).max() <= 3e-7
    assert (given["scores"].argmax(axis=1) == trees.predict(features).argmax(axis=1)).all()


def test_two_combinations_are_a_yes_and_a_no(features):
    first = features[:, 0] > 0.1
    trees = fit_trees(small(strategy="powerset"), features, np.stack([~first, first], axis=1), seed=3, threads=1)
    given = in_the_runtime(trees, features)
    assert given["margins"].shape == (len(features), 1)
    assert np.abs(given["scores"] - trees.predict(features)).max() <= 3e-7


def test_deep_trees_need_no_room_for_what_is_not_there(features):
    trees = fit_trees(small(max_depth=15, n_estimators=5), features, targets_of(features), seed=3, threads=1)
    tables = node_tables(trees.boosters, N_FEATURES)
    nodes = sum(dump.count("\n") for booster in trees.boosters for dump in booster.get_dump())
    assert len(tables.feature) == nodes + 1 < 2**12
    np.testing.assert_array_equal(in_the_runtime(trees, features)["margins"], reference_margins(trees, features))


@pytest.mark.parametrize("strategy", ["one_vs_rest", "chain"])
def test_a_class_that_never_or_always_occurs_is_a_constant(strategy, features):
    targets = targets_of(features)
    targets[:, 0], targets[:, 2] = True, False
    trees = fit_trees(small(strategy=strategy), features, targets, seed=3, threads=1)
    assert [booster is None for booster in trees.boosters] == [True, False, True, False]
    given = in_the_runtime(trees, features)
    assert np.abs(given["scores"] - trees.predict(features)).max() <= 3e-7
    assert (given["scores"][:, 0] == 1).all() and (given["scores"][:, 2] == 0).all()


def test_one_combination_alone_is_a_constant(features):
    trees = fit_trees(small(strategy="powerset"), features, np.tile([False, True], (len(features), 1)), 3, 1)
    assert trees.boosters == [None]
    np.testing.assert_array_equal(in_the_runtime(trees, features[:3])["scores"], trees.predict(features[:3]))


def test_boosters_of_different_length(features):
    targets = targets_of(features)[:, :2]
    short, long = (fit_trees(small(n_estimators=n), features, targets, 3, 1).boosters for n in (3, 9))
    trees = Trees(small(), [short[0], long[1]])
    np.testing.assert_array_equal(in_the_runtime(trees, features)["margins"], reference_margins(trees, features))


@pytest.mark.parametrize("booster", ["gblinear", "dart"])
def test_what_is_no_plain_tree_is_refused(booster, features):
    data = xgboost.DMatrix(features, targets_of(features)[:, 0].astype(int))
    model = xgboost.train({"booster": booster, "objective": "binary:logistic"}, data, 2)
    with pytest.raises(ConfigError, match=f"{booster}.*only 'gbtree' has a form in TFLite"):
        node_tables([model], N_FEATURES)
