"""The description of a head, and the registry of all heads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from ecotf.config import Config
from ecotf.registry import Registry

if TYPE_CHECKING:
    import numpy as np

Takes = Literal["features", "embedding", "table"]

HEADS: Registry[Any] = Registry("head")
"""All heads. What an entry is built from depends on what it takes; see `HeadConfig.takes`."""


class HeadConfig(Config):
    """The settings that all heads share.

    Attributes
    ----------
    takes
        ``features``: a feature map ``(batch, t, f, c)``; built by ``build(config, (t, f, c), n_classes,
        probabilities)`` as a Keras model that gives a dict with ``clip`` ``(batch, classes)``.
        ``embedding``: ``(batch, e)``; built by ``build(config, n_species)`` as a Keras layer that gives scores.
        ``table``: rows of numbers; see `TableHeadConfig`.
    gives_frames
        It also gives ``frames`` ``(batch, t, classes)``, from a layer ``hidden`` through layers of the class.
    recurrent
        It goes through the frames one after another.
    class_layers
        Names of the layers that may be there, whose weights have on their last axis a row for each class.
    answers_episodes
        It answers episodes of few-shot learning (`ecotf.models.heads.episodic.EpisodicHeadConfig`).
    embedding_layer
        Name of the layer of the head whose output, ``(batch, e)``, is the embedding of a clip. None: the embedding is
        the backbone's features, averaged over time and frequency.
    """

    takes: ClassVar[Takes] = "features"
    gives_frames: ClassVar[bool] = False
    recurrent: ClassVar[bool] = False
    class_layers: ClassVar[tuple[str, ...]] = ("classes",)
    answers_episodes: ClassVar[bool] = False
    embedding_layer: ClassVar[str | None] = None

    name: str

    @property
    def fixed_length(self) -> bool:
        """Whether all clips must be of one length."""
        return False

    @property
    def gives_onsets(self) -> bool:
        """Whether ``frames`` is ``(batch, t, 4 classes)``: scores, whether an event begins there, or ends, its length.

        `ecotf.pipelines.onset_truth` says what the last three mean.
        """
        return False


class TableHead(Protocol):
    """A head that was fitted on rows of numbers."""

    @property
    def n_parameters(self) -> int:
        """Numbers that were fitted."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Compute probabilities ``[n, classes]`` of rows ``[n, f]``."""

    def save(self, folder: Path) -> None:
        """Write it into an existing folder, as arrays and JSON."""


class TableHeadConfig(HeadConfig):
    """The settings of a head of rows of numbers, such as embeddings: it is fitted, not trained.

    It is built by ``build(config, rows, targets, seed, threads, progress=None, groups=None)``: ``rows`` float32
    ``[n, f]``, ``targets`` ``[n, classes]``, ``groups`` int ``[n]`` of rows that belong together (of one recording),
    for heads that hold some back.
    """

    takes: ClassVar[Takes] = "table"

    def load(self, folder: Path) -> TableHead:
        """Read a head that `TableHead.save` wrote."""
        raise NotImplementedError
