"""What the heads of few-shot learning share: a class is known by its examples, not by weights that a gradient found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ecotf.models.heads.base import HeadConfig

if TYPE_CHECKING:
    import numpy as np


class Rule(Protocol):
    """How an episode is answered."""

    def __call__(self, support: Any, queries: Any, training: bool = False) -> Any:
        """Take the support ``(way, shots, ...)`` and the queries ``(n, ...)`` of an episode, float32 tensors of what
        the head compares; give the logits of the queries, ``(n, way)``.
        """


class EpisodicHeadConfig(HeadConfig):
    """A head that compares a clip with the examples of each class.

    In an episode the classes are those of the episode (`rule`). Outside of episodes, so that a run classifies, is
    exported and reports like any other, the head has the classes that it was trained on: `set_classes` computes their
    rows from all of their clips. Until then they are weights like any others, which classical training fits. What is
    compared are embeddings, or whole feature maps where the head names no ``embedding_layer``.

    Attributes
    ----------
    episode_layer
        Name of the layer of the head whose weights act in episodes alone; None where there is none. A stage that trains
        by episodes makes it trainable.
    """

    answers_episodes: ClassVar[bool] = True
    episode_layer: ClassVar[str | None] = None

    def rule(self, head: Any) -> Rule:
        """Return how an episode is answered with the weights of ``head``."""
        raise NotImplementedError

    def set_classes(self, head: Any, means: np.ndarray) -> None:
        """Give the classes their rows.

        Parameters
        ----------
        means
            float32 ``[classes, ...]``: of each class the mean of what the head compares, over its clips.
        """
        raise NotImplementedError
