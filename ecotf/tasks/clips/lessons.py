"""The targets and the loss of a fit on clips: of labels alone, or of what a stage adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.pipelines.clips import Clips, ClipTable
from ecotf.pipelines.image_batches import ClipImages, EpochDraws
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.losses import clip_loss

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork


class LabelLesson:
    """Learns from labels alone.

    Attributes
    ----------
    model
        What is fitted: the network's own model, or one that holds its layers beside others.
    """

    def __init__(
        self, network: ClipNetwork, stage: FitClipsStage, material: Material, train: Clips, weights: np.ndarray | None
    ) -> None:
        self.stage, self.train, self.weights = stage, train, weights
        self.model: Any = network.model

    def epoch(self, images: ClipImages, draws: EpochDraws) -> tuple[ClipTable, EpochDraws]:
        """Return the clips of an epoch and its draws, as `clip_batches` takes them."""
        return self.train.table, draws

    def loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the loss of a training batch from what ``model`` gives."""
        return self.label_loss(outputs, targets, weight)

    def label_loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the loss of the labels: what validation clips are judged by."""
        return clip_loss(self.stage.loss, outputs, targets, self.weights, weight)
