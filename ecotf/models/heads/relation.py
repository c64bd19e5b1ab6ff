"""Relation networks: a small network says how much two feature maps are of one class (Sung et al., CVPR 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS
from ecotf.models.heads.episodic import EpisodicHeadConfig, Rule

if TYPE_CHECKING:
    import numpy as np


class RelationHeadConfig(EpisodicHeadConfig):
    """A learned comparison of a clip's feature map with the mean map of each class.

    The embedding is the feature map, averaged over time and frequency.

    Attributes
    ----------
    channels
        Of the two convolutions; null: as many as the feature map has, as published.
    hidden
        Units of the dense layer before the score.
    grid
        The first convolution's answer is made so many rows and columns, the greatest number in each.
    norm_momentum
        How much of its running mean and variance batch normalisation keeps in a step; published: nothing.
    """

    name: Literal["relation"] = "relation"
    channels: int | None = Field(None, ge=1)
    hidden: int = Field(8, ge=1)
    grid: int = Field(5, ge=3)
    norm_momentum: float = Field(0.0, ge=0, lt=1)

    @property
    def fixed_length(self) -> bool:
        """All clips are of one length: their maps are compared place by place."""
        return True

    def rule(self, head: Any) -> Rule:
        """Compare with the mean map of each class's examples."""
        import tensorflow as tf

        from ecotf.models.heads.relation_layers import pairs_of

        relation = head.get_layer("relation")

        def answer(support: Any, queries: Any, training: bool = False) -> Any:
            means = tf.reduce_mean(support, axis=1)
            return tf.reshape(relation(pairs_of(queries, means), training=training), [-1, means.shape[0]])

        return answer

    def set_classes(self, head: Any, means: np.ndarray) -> None:
        """Keep the mean maps ``[classes, t, f, c]``."""
        import numpy as np

        head.get_layer("classes").set_weights([np.moveaxis(means, 0, -1)])


@HEADS.register(RelationHeadConfig)
def build_relation(
    config: RelationHeadConfig, feature_shape: tuple[int, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head: each clip beside the map of every class, the network that compares them, one score a pair."""
    import keras

    from ecotf.models.heads.relation_layers import BesideEachClass, ScoresOfPairs

    inputs = keras.Input(feature_shape)
    beside = BesideEachClass(n_classes, name="classes")(inputs)
    clip = ScoresOfPairs(n_classes, name="scores")(_relation(config, feature_shape)(beside))
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")


def _relation(config: RelationHeadConfig, feature_shape: tuple[int, int, int]) -> Any:
    """The network of pairs: ``(pairs, t, f, 2 c) -> (pairs, 1)``."""
    import keras

    from ecotf.models.heads.relation_layers import AdaptiveMaxPooling

    t, f, c = feature_shape
    channels = config.channels or c
    x = pairs = keras.Input((t, f, 2 * c))
    for number, padding in enumerate(("same", "valid"), start=1):
        x = keras.layers.Conv2D(channels, 3, padding=padding, dtype="float32", name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(
            momentum=config.norm_momentum, epsilon=1e-5, dtype="float32", name=f"norm{number}"
        )(x)
        x = keras.layers.ReLU(dtype="float32")(x)
        x = AdaptiveMaxPooling(config.grid if number == 1 else 1, name=f"pool{number}")(x)
    x = keras.layers.Reshape((channels,))(x)
    x = keras.layers.Dense(config.hidden, activation="relu", dtype="float32", name="compared")(x)
    score = keras.layers.Dense(1, dtype="float32", name="score")(x)
    return keras.Model(pairs, score, name="relation")
