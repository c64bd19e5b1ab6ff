"""Gradient-boosted trees: three ways to give several labels at once, each against XGBoost used by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost
from sklearn.utils.class_weight import compute_sample_weight

from ecotf.models.heads.trees import Trees, TreesConfig, fit_trees, load_trees
from ecotf.tasks.recipes import load_recipe

STRATEGIES = ("one_vs_rest", "chain", "powerset")
N_CLASSES = 3


def small(**settings: object) -> TreesConfig:
    return TreesConfig(**{"n_estimators": 8, "max_depth": 3, "subsample": 1.0, **settings})


@pytest.fixture(scope="module")
def embedding() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(160, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def targets(embedding) -> np.ndarray:
    """Class 0 and 1 each in one dimension, class 2 where both are."""
    first, second = embedding[:, 0] > 0, embedding[:, 1] > 0.5
    return np.stack([first, second, first & second], axis=1).astype(np.float32)


def fit(config: TreesConfig, embedding: np.ndarray, targets: np.ndarray) -> Trees:
    return fit_trees(config, embedding, targets, seed=3, threads=1)


def by_hand(config: TreesConfig, features: np.ndarray, codes: np.ndarray, objective: str) -> xgboost.Booster:
    weights = compute_sample_weight("balanced", codes) if config.balanced else None
    parameters = {
        "objective": objective, "tree_method": "hist", "max_depth": config.max_depth, "eta": config.eta,
        "gamma": config.gamma, "subsample": config.subsample, "min_child_weight": config.min_child_weight,
        "seed": 3, "nthread": 1,
    }  # fmt: skip
    if objective == "binary:logistic":
        parameters["scale_pos_weight"] = config.scale_pos_weight
    else:
        parameters["num_class"] = int(codes.max()) + 1
    return xgboost.train(parameters, xgboost.DMatrix(features, codes, weight=weights), config.n_estimators)


@pytest.mark.parametrize("balanced", [True, False])
def test_one_vs_rest_is_a_classifier_for_each_class(embedding, targets, balanced):
    config = small(balanced=balanced)
    expected = [
        by_hand(config, embedding, targets[:, k], "binary:logistic").predict(xgboost.DMatrix(embedding))
        for k in range(N_CLASSES)
    ]
    np.testing.assert_allclose(fit(config, embedding, targets).predict(embedding), np.stack(expected, 1), atol=1e-6)


def test_a_chain_sees_the_answers_before(embedding, targets):
    config = small(strategy="chain")
    features, answers = embedding, []
    seen = embedding
    for k in range(N_CLASSES):
        booster = by_hand(config, features, targets[:, k], "binary:logistic")
        features = np.hstack([features, targets[:, k : k + 1]])
        answers.append(booster.predict(xgboost.DMatrix(seen)))
        seen = np.hstack([seen, (answers[-1] > 0.5)[:, None].astype(np.float32)])
    np.testing.assert_allclose(fit(config, embedding, targets).predict(embedding), np.stack(answers, 1), atol=1e-6)


def test_a_powerset_tells_combinations_apart(embedding, targets):
    config = small(strategy="powerset")
    fitted = fit(config, embedding, targets)
    assert len(fitted.combinations) == len(np.unique(targets, axis=0))
    codes = (targets[:, None] == fitted.combinations[None]).all(axis=2).argmax(axis=1)
    np.testing.assert_array_equal(fitted.combinations[codes], targets)
    scores = by_hand(config, embedding, codes, "multi:softprob").predict(xgboost.DMatrix(embedding))
    np.testing.assert_allclose(fitted.predict(embedding), scores @ fitted.combinations, atol=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_learned_is_right_and_comes_back_from_disk(tmp_path, embedding, targets, strategy):
    fitted = fit(small(strategy=strategy, n_estimators=20), embedding, targets)
    scores = fitted.predict(embedding)
    assert scores.dtype == np.float32
    assert scores.shape == targets.shape
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert ((scores > 0.5) == (targets > 0.5)).mean() > 0.97
    fitted.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".ubj", ".json"}
    assert len(list(tmp_path.glob("*.ubj"))) == (1 if strategy == "powerset" else N_CLASSES)
    again = load_trees(tmp_path)
    np.testing.assert_array_equal(again.predict(embedding), scores)
    assert (again.config, again.n_trees) == (fitted.config, fitted.n_trees)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_class_that_never_or_always_occurs_is_a_constant(tmp_path, embedding, targets, strategy, answer):
    constant = targets.copy()
    constant[:, 1] = answer
    fitted = fit(small(strategy=strategy, n_estimators=20), embedding, constant)
    fitted.save(tmp_path)
    for trees in (fitted, load_trees(tmp_path)):
        scores = trees.predict(embedding)
        np.testing.assert_allclose(scores[:, 1], answer, atol=1e-6)
        assert ((scores[:, [0, 2]] > 0.5) == (constant[:, [0, 2]] > 0.5)).mean() > 0.97


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_but_constants(tmp_path, embedding, strategy):
    same = np.tile(np.array([1, 0], np.float32), (len(embedding), 1))
    fitted = fit(small(strategy=strategy), embedding, same)
    assert fitted.n_trees == 0
    fitted.save(tmp_path)
    np.testing.assert_array_equal(load_trees(tmp_path).predict(embedding[:5]), same[:5])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_combinations_and_no_window_at_all(embedding, targets, strategy):
    """Two combinations are a binary problem, whose single probability stands for the second one."""
    opposite = np.stack([targets[:, 0], 1 - targets[:, 0]], axis=1)
    fitted = fit(small(strategy=strategy, n_estimators=20), embedding, opposite)
    assert ((fitted.predict(embedding) > 0.5) == (opposite > 0.5)).mean() > 0.97
    assert fitted.predict(np.empty((0, 4), np.float32)).shape == (0, 2)


def dependent_labels(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two labels that come together or not at all, but where a number is great, one of them alone."""
    features = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    first = (features[:, 0] > 0) ^ (features[:, 1] > 0.6)
    second = first ^ (features[:, 2] > 0.6)
    return features, np.stack([first, second], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("strategy", "max_depth"),
    [
        ("chain", 2),  # the second label is two questions from the first, and three from the numbers
        ("powerset", 1),  # one question a tree finds neither label well, but which combinations there are
    ],
)
def test_labels_that_depend_on_each_other_are_named_better_together(strategy, max_depth):
    """As a recipe asks for it; judged on samples that were not fitted on, both labels right."""
    features, labels = dependent_labels(1500, 1)
    unseen, truth = dependent_labels(1500, 2)
    settings = ["trees.n_estimators=60", f"trees.max_depth={max_depth}", "trees.colsample_bytree=1.0"]
    right = {}
    for tried in ("one_vs_rest", strategy):
        config = load_recipe("bats/hybrid_cnn_xgboost", [*settings, f"trees.strategy={tried}"]).trees
        scores = fit(config, features, labels).predict(unseen)
        right[tried] = ((scores > 0.5) == (truth > 0.5)).all(axis=1).mean()
    assert right[strategy] > right["one_vs_rest"] + 0.15, right


def test_the_seed_is_obeyed_and_trees_are_counted(embedding, targets):
    config = small(subsample=0.5)
    first, second, other = (fit_trees(config, embedding, targets, seed, 1) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.predict(embedding), second.predict(embedding))
    assert np.abs(first.predict(embedding) - other.predict(embedding)).max() > 1e-4
    assert first.n_trees == N_CLASSES * config.n_estimators


def test_progress_counts_the_classifiers(embedding, targets):
    said: list[tuple[int, int]] = []
    fit_trees(small(), embedding, targets, 3, 1, lambda done, of: said.append((done, of)))
    assert said == [(1, 3), (2, 3), (3, 3)]
