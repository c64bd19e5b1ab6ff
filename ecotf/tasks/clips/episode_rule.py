"""What a network compares in an episode, and how it answers one by the rule of its head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.evaluation.episodes import Answer
from ecotf.models.heads.episodic import EpisodicHeadConfig

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork
    from ecotf.models.tagger import ClipModel


@dataclass(frozen=True)
class OwnRule:
    """How a network answers episodes by itself.

    Attributes
    ----------
    compared
        Makes what it compares of sound ``[n, samples]``.
    answer
        How it answers an episode of that.
    """

    compared: Callable[[np.ndarray], np.ndarray]
    answer: Answer


def own_rule(model: ClipModel) -> OwnRule:
    """Return how a model whose head answers episodes does it."""
    compare = comparing(model.network)
    return OwnRule(lambda sound: compare(model.images(sound)), answering(model.network))


def answering(network: ClipNetwork) -> Answer:
    """Return how a network answers an episode of what it compares, by the rule of its head."""
    import tensorflow as tf

    rule = head_config(network).rule(network.head)
    compiled = tf.function(lambda support, queries: rule(support, queries), autograph=False)

    def answer(support: np.ndarray, codes: np.ndarray, queries: np.ndarray) -> np.ndarray:
        way = int(codes.max()) + 1
        return np.asarray(compiled(support.reshape(way, -1, *support.shape[1:]), queries))

    return answer


def with_compared(network: ClipNetwork) -> Any:
    """Make a model of the network's layers that also gives ``compared``: embeddings, or maps where the head wants them.

    float32 ``(batch, e)`` or ``(batch, t, f, c)``.
    """
    import keras

    inputs, features = network.features()
    head, config = network.head, network.config.head
    if config.embedding_layer is None:
        compared = keras.layers.Activation("linear", dtype="float32", name="compared")(features)
        return keras.Model(inputs, {**head(features), "compared": compared}, name="compared")
    embedding = head.get_layer(config.embedding_layer).output
    opened = keras.Model(head.inputs[0], {**head.output, "compared": embedding}, name="opened_head")
    return keras.Model(inputs, opened(features), name="compared")


def comparing(network: ClipNetwork) -> Callable[[Any], np.ndarray]:
    """Return what makes, of images ``[n, frames, bands, channels]``, what the head compares: float32 ``[n, ...]``."""
    import tensorflow as tf

    model = with_compared(network)
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)]
    compare = tf.function(lambda x: model(x, training=False)["compared"], input_signature=signature, autograph=False)
    return lambda images: np.asarray(compare(images))


def head_config(network: ClipNetwork) -> EpisodicHeadConfig:
    """Return the settings of a head that answers episodes."""
    config = network.config.head
    assert isinstance(config, EpisodicHeadConfig)  # the recipe was checked
    return config
