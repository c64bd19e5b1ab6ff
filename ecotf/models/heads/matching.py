"""Matching networks: attention over the examples, each seen in the context of the others (Vinyals et al. 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ecotf.models.heads.base import HEADS
from ecotf.models.heads.episodic import EpisodicHeadConfig, Rule
from ecotf.models.heads.pooled import Pool, pooled

if TYPE_CHECKING:
    import numpy as np

_LEAST = 1e-6  # as published, before the logarithm


class MatchingHeadConfig(EpisodicHeadConfig):
    """The cosine to each example, made a probability over the examples and added up for each class.

    The classes of a run are one dense layer: the cosine to the mean of a class's clips, without context, since there
    is no episode that could be one.

    Attributes
    ----------
    pool
        How the feature map becomes an embedding; published: the ``mean``.
    context
        Encode the examples of an episode by a bidirectional LSTM over all of them, and a query by an LSTM cell that
        reads them once for each example ("full context embeddings"), as published. Without it the embeddings are
        compared as they are.
    unit_queries
        Divide a query by its length before it is compared. Published: no, so that its probabilities differ enough; a
        logit is then the cosine times the length of the query.
    """

    embedding_layer: ClassVar[str | None] = "embedding"
    episode_layer: ClassVar[str | None] = "context"

    name: Literal["matching"] = "matching"
    pool: Pool = "mean"
    context: bool = True
    unit_queries: bool = False

    def rule(self, head: Any) -> Rule:
        """Compare with every example, and add up the probabilities of each class."""
        import tensorflow as tf

        context = head.get_layer("context")

        def answer(support: Any, queries: Any, training: bool = False) -> Any:
            way, shots = support.shape[0], support.shape[1]
            examples = tf.reshape(support, [way * shots, -1])
            if self.context:
                examples = context.of_support(examples)
                queries = context.of_queries(queries, examples)
            if self.unit_queries:
                queries = tf.math.l2_normalize(queries, axis=-1)
            cosines = tf.matmul(queries, tf.math.l2_normalize(examples, axis=-1), transpose_b=True)
            shares = tf.reshape(tf.nn.softmax(cosines), [-1, way, shots])
            return tf.math.log(tf.reduce_sum(shares, axis=-1) + _LEAST)

        return answer

    def set_classes(self, head: Any, means: np.ndarray) -> None:
        """Make the dense layer that compares with ``means`` ``[classes, e]``."""
        import numpy as np

        lengths = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        head.get_layer("classes").set_weights([(means / lengths).T])


@HEADS.register(MatchingHeadConfig)
def build_matching(
    config: MatchingHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head: an embedding, the encoders of episodes, and the cosine to each class as one dense layer."""
    import keras

    from ecotf.models.heads.episode_context import EpisodeContext

    inputs = keras.Input(feature_shape)
    x = pooled(inputs, config.pool, "embedding")
    # Outside of an episode it changes nothing; it is here so that its weights are kept with all others.
    x = EpisodeContext(config.context, name="context")(x)
    if config.unit_queries:
        x = keras.layers.UnitNormalization(dtype="float32")(x)
    clip = keras.layers.Dense(n_classes, use_bias=False, dtype="float32", name="classes")(x)
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")
