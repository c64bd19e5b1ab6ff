"""Heads of embeddings as TensorFlow operations: an embedding in, the probabilities of classes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.stages.trees import trees_function
from ecotf.models.heads.dense_layers import DenseHead, DenseLayers
from ecotf.models.heads.nearest_mean import NearestMean
from ecotf.models.heads.trees import Trees
from ecotf.models.projection import ProjectedHead

Scores = Callable[[Any], Any]
"""From an embedding ``[1, numbers]`` to ``[1, classes]``."""


@singledispatch
def head_function(head: Any) -> Scores:
    """Make the function of a fitted head; raises `ConfigError` for one that has no form on a device."""
    raise ConfigError(f"a head of the kind {type(head).__name__} has no form on a device")


@head_function.register(Trees)
def _of_trees(head: Trees) -> Scores:
    predict = trees_function(head)
    return lambda embedding: predict(embedding)["scores"]


@head_function.register(ProjectedHead)
def _of_projection(head: ProjectedHead) -> Scores:
    return head.answer


@head_function.register(DenseHead)
def _of_dense(head: DenseHead) -> Scores:
    import tensorflow as tf

    parts = [_logits(part) for part in head.parts]

    def one_vs_rest(embedding: Any) -> Any:
        return tf.sigmoid(parts[0](embedding))

    def chain(embedding: Any) -> Any:
        seen, columns = embedding, []
        for part in parts:
            columns.append(tf.sigmoid(part(seen)))
            seen = tf.concat([seen, tf.cast(columns[-1] > 0.5, tf.float32)], axis=1)
        return tf.concat(columns, axis=1)

    def powerset(embedding: Any) -> Any:
        combinations = np.asarray(head.combinations, np.float32)
        logits = parts[0](embedding)
        if len(combinations) == 1:
            return 0 * logits[:, :1] + combinations
        if logits.shape[1] == 1:
            likely = tf.concat([1 - tf.sigmoid(logits), tf.sigmoid(logits)], axis=1)
        else:
            likely = tf.nn.softmax(logits)
        return tf.matmul(likely, combinations)

    return {"one_vs_rest": one_vs_rest, "chain": chain, "powerset": powerset}[head.strategy]


@head_function.register(NearestMean)
def _of_means(head: NearestMean) -> Scores:
    """Take the centre away, bring the rest to length 1, one dense layer; of rows of any length their square too."""
    import tensorflow as tf

    means = head.means.astype(np.float64)
    squares = (means**2).sum(axis=1)
    kernel = (2 * head.scale * means.T).astype(np.float32)
    bias = (head.bias - head.scale * (squares + head.normalised)).astype(np.float32)

    def compute(embedding: Any) -> Any:
        seen = embedding - head.centre
        square = tf.reduce_sum(seen * seen, axis=1, keepdims=True)
        if head.normalised:
            return tf.sigmoid(tf.matmul(seen / tf.sqrt(tf.maximum(square, 1e-12)), kernel) + bias)
        return tf.sigmoid(tf.matmul(seen, kernel) - head.scale * square + bias)

    return compute


def _logits(part: DenseLayers) -> Scores:
    import tensorflow as tf

    def compute(values: Any) -> Any:
        for number, (kernel, bias) in enumerate(zip(part.kernels, part.biases, strict=True)):
            values = tf.nn.relu(values) if number else values
            values = tf.matmul(values, kernel.astype(np.float32)) + bias.astype(np.float32)
        return values

    return compute
