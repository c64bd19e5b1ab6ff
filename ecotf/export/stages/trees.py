"""Boosted trees as TFLite operators: a walk through tables of nodes, all trees one level at a time.

XGBoost adds the leaves of its trees to the base margin in order, in float32; so does the graph, and the margins are the
same to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf.errors import ConfigError
from ecotf.models.heads.trees import Trees

_NEVER = np.float32(-3.0e38)  # below every threshold


@dataclass(frozen=True)
class NodeTables:
    """The nodes of many trees. A node's two children stand side by side; a leaf is its own left child.

    Attributes
    ----------
    feature
        int32 [nodes]: which feature is looked at; at a leaf, the one after the last, which is below every threshold.
    value
        float32 [nodes]: goes to the right at this threshold and above; at a leaf, what the tree answers.
    left
        int32 [nodes]
    roots
        int32 [rounds, outputs]; where one output has fewer rounds than another, a leaf of 0.
    base
        float32 [outputs]: base margins.
    depth
        Steps from a root to the deepest leaf.
    """

    feature: NDArray[np.int32]
    value: NDArray[np.float32]
    left: NDArray[np.int32]
    roots: NDArray[np.int32]
    base: NDArray[np.float32]
    depth: int


def node_tables(boosters: Sequence[Any], n_features: int) -> NodeTables:
    """Read boosters, each with one output or one for each class, into tables; outputs side by side, in order.

    Raises
    ------
    ConfigError
        A booster that is not made of plain trees.
    """
    feature, value, left = [n_features], [np.float32(0)], [0]  # node 0 is the leaf of 0
    columns: list[list[int]] = []
    base: list[np.float32] = []
    deepest = 0
    for booster in boosters:
        learner = json.loads(bytes(booster.save_raw("json")))["learner"]
        _require_plain(learner)
        model = learner["gradient_booster"]["model"]
        margins = _base_margins(learner)
        base += margins
        own: list[list[int]] = [[] for _ in margins]
        for output, tree in zip(model["tree_info"], model["trees"], strict=True):
            own[output].append(len(feature))
            deepest = max(deepest, _append(tree, feature, value, left, n_features))
        columns += own
    rounds = max(map(len, columns), default=0)
    roots = np.zeros((rounds, len(columns)), np.int32)
    for output, trees in enumerate(columns):
        roots[: len(trees), output] = trees
    return NodeTables(
        np.array(feature, np.int32), np.array(value, np.float32), np.array(left, np.int32), roots,
        np.array(base, np.float32), deepest,
    )  # fmt: skip


def _append(tree: dict[str, Any], feature: list[int], value: list[np.float32], left: list[int], n_features: int) -> int:
    """Append one tree, level by level; returns its depth."""
    start = len(feature)
    feature.append(n_features)
    value.append(np.float32(0))
    left.append(start)
    level, depth = [(0, start)], 0
    while level:
        below = []
        for node, place in level:
            child = tree["left_children"][node]
            if child == -1:
                value[place] = np.float32(tree["split_conditions"][node])
                continue
            feature[place] = tree["split_indices"][node]
            value[place] = np.float32(tree["split_conditions"][node])
            left[place] = len(feature)
            for side in (child, tree["right_children"][node]):
                below.append((side, len(feature)))
                feature.append(n_features)
                value.append(np.float32(0))
                left.append(len(left))
        depth += bool(below)
        level = below
    return depth


def _require_plain(learner: dict[str, Any]) -> None:
    name = learner["gradient_booster"]["name"]
    if name != "gbtree":
        raise ConfigError(f"the trees are an XGBoost {name!r} model; only 'gbtree' has a form in TFLite")
    if learner["gradient_booster"]["model"]["trees"] and any(
        tree["categories"] for tree in learner["gradient_booster"]["model"]["trees"]
    ):
        raise ConfigError("the trees split on categories; only splits on numbers have a form in TFLite")


def _base_margins(learner: dict[str, Any]) -> list[np.float32]:
    """Return the margin that each output starts with, as XGBoost itself computes it from the base score."""
    text = learner["learner_model_param"]["base_score"]
    scores = np.atleast_1d(np.array(json.loads(text), np.float32))
    n_classes = max(1, int(learner["learner_model_param"]["num_class"]))
    scores = np.broadcast_to(scores, n_classes)
    if learner["objective"]["name"] == "binary:logistic":
        return [np.float32(-np.float32(np.log(np.float64(np.float32(1 / score) - np.float32(1))))) for score in scores]
    return [np.float32(score) for score in scores]


def margins_function(tables: NodeTables) -> Callable[[Any], Any]:
    """Make a function from features [1, n] to margins [1, outputs], as TensorFlow operations."""
    import tensorflow as tf

    rounds, outputs = tables.roots.shape

    def compute(features: Any) -> Any:
        seen = tf.concat([features[0], [_NEVER]], axis=0)
        node = tf.constant(tables.roots.ravel())
        for _ in range(tables.depth):
            right = tf.gather(seen, tf.gather(tables.feature, node)) >= tf.gather(tables.value, node)
            node = tf.gather(tables.left, node) + tf.cast(right, tf.int32)
        leaves = tf.reshape(tf.gather(tables.value, node), [rounds, outputs])
        return tf.reduce_sum(tf.concat([tables.base[None], leaves], axis=0), axis=0, keepdims=True)

    return compute


def trees_function(trees: Trees) -> Callable[[Any], dict[str, Any]]:
    """Make a function that does `Trees.predict` for one patch: features [1, n] to ``scores`` [1, k] and ``margins``."""
    if trees.combinations is not None:
        return _powerset(trees)
    return _chain(trees) if trees.config.strategy == "chain" else _one_vs_rest(trees)


def _n_features(booster: Any) -> int:
    return int(booster.num_features())


def _one_vs_rest(trees: Trees) -> Callable[[Any], dict[str, Any]]:
    import tensorflow as tf

    present = [booster for booster in trees.boosters if booster is not None]
    if not present:
        return lambda features: {"scores": tf.constant([trees.constants], tf.float32)}
    margins = margins_function(node_tables(present, _n_features(present[0])))

    def predict(features: Any) -> dict[str, Any]:
        found = margins(features)
        scores = tf.sigmoid(found)
        if len(present) == len(trees.boosters):
            return {"scores": scores, "margins": found}
        places = np.cumsum([booster is not None for booster in trees.boosters]) - 1
        columns = [
            scores[:, place : place + 1] if booster is not None else tf.constant([[constant]], tf.float32)
            for booster, constant, place in zip(trees.boosters, trees.constants, places, strict=True)
        ]
        return {"scores": tf.concat(columns, axis=1), "margins": found}

    return predict


def _chain(trees: Trees) -> Callable[[Any], dict[str, Any]]:
    import tensorflow as tf

    links = [
        None if booster is None else margins_function(node_tables([booster], _n_features(booster)))
        for booster in trees.boosters
    ]

    def predict(features: Any) -> dict[str, Any]:
        seen, columns, margins = features, [], []
        for link, constant in zip(links, trees.constants, strict=True):
            if link is None:
                columns.append(tf.constant([[constant]], tf.float32))
            else:
                margins.append(link(seen))
                columns.append(tf.sigmoid(margins[-1]))
            seen = tf.concat([seen, tf.cast(columns[-1] > 0.5, tf.float32)], axis=1)
        scores = tf.concat(columns, axis=1)
        return {"scores": scores, "margins": tf.concat(margins, axis=1)} if margins else {"scores": scores}

    return predict


def _powerset(trees: Trees) -> Callable[[Any], dict[str, Any]]:
    import tensorflow as tf

    assert trees.combinations is not None
    combinations = trees.combinations.astype(np.float32)
    booster = trees.boosters[0]
    if booster is None:
        return lambda features: {"scores": tf.constant(combinations[:1])}
    margins = margins_function(node_tables([booster], _n_features(booster)))

    def predict(features: Any) -> dict[str, Any]:
        found = margins(features)
        shares = (
            tf.nn.softmax(found) if found.shape[1] > 1 else tf.concat([1 - tf.sigmoid(found), tf.sigmoid(found)], 1)
        )
        return {"scores": tf.matmul(shares, combinations), "margins": found}

    return predict
