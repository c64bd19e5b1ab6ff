"""Prototypical networks: the class whose mean is nearest (Snell et al., NeurIPS 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ecotf.models.heads.base import HEADS
from ecotf.models.heads.episodic import EpisodicHeadConfig, Rule
from ecotf.models.heads.pooled import Pool, pooled

if TYPE_CHECKING:
    import numpy as np


class PrototypeHeadConfig(EpisodicHeadConfig):
    """The squared Euclidean distance to the mean of each class.

    The classes of a run are one dense layer: ``-|x - m|^2 = 2 m x - |m|^2 - |x|^2``, whose last term is the same for
    all classes and is left out.

    Attributes
    ----------
    pool
        How the feature map becomes an embedding; published: the ``mean`` (ResNet18 without its last layer).
    """

    embedding_layer: ClassVar[str | None] = "embedding"

    name: Literal["prototype"] = "prototype"
    pool: Pool = "mean"

    def rule(self, head: Any) -> Rule:
        """Compare with the mean of each class's examples."""
        import tensorflow as tf

        def answer(support: Any, queries: Any, training: bool = False) -> Any:
            means = tf.reduce_mean(support, axis=1)
            return -tf.reduce_sum((queries[:, None] - means[None]) ** 2, axis=-1)

        return answer

    def set_classes(self, head: Any, means: np.ndarray) -> None:
        """Make the dense layer that compares with ``means`` ``[classes, e]``."""
        head.get_layer("classes").set_weights([2 * means.T, -(means**2).sum(axis=1)])


@HEADS.register(PrototypeHeadConfig)
def build_prototype(
    config: PrototypeHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head: an embedding, and the distance to each class as one dense layer."""
    import keras

    inputs = keras.Input(feature_shape)
    x = pooled(inputs, config.pool, "embedding")
    clip = keras.layers.Dense(n_classes, dtype="float32", name="classes")(x)
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")
