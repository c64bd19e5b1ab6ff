"""The targets and the loss of a fit on clips: of labels alone, or of what a stage adds to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ecotf.errors import DataError
from ecotf.evaluation.segment_metrics import counted_labels, padded_cmap
from ecotf.pipelines.clips import Clips, ClipTable
from ecotf.pipelines.crops import SkippedRecordings
from ecotf.pipelines.image_batches import ClipImages, EpochDraws, clip_batches
from ecotf.pipelines.quiet_sounds import Backgrounds
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.losses import clip_loss

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork


class LabelLesson:
    """Learns from labels alone, and is judged by them.

    Attributes
    ----------
    model
        What is fitted: the network's own model, or one that holds its layers beside others.
    score_name, score_title
        What validation measures besides the loss, more is better: the column of the history, and for people.
    """

    score_name: ClassVar[str] = "padded_cmap"
    score_title: ClassVar[str] = "padded cmAP"

    def __init__(
        self, network: ClipNetwork, stage: FitClipsStage, material: Material, train: Clips, weights: np.ndarray | None
    ) -> None:
        self.stage, self.material, self.train, self.weights = stage, material, train, weights
        self.model: Any = network.model

    @property
    def keeps_start(self) -> bool:
        """Whether the weights that the stage begins with stay where no epoch is better."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know before the first epoch."""
        return ()

    def images(self, clips: Clips, report: SkippedRecordings, threads: int) -> ClipImages:
        """Say how clips become images, as `batches` and `validation` are given them."""
        from ecotf.tasks.clips.fit_clips import stage_images

        return stage_images(self.stage, self.material.data, clips, report, threads)

    def backgrounds(self, number: int) -> Sequence[Backgrounds]:
        """Return what each of ``number`` sets of background is cut from; empty where there is none."""
        return self.material.data.backgrounds(number)

    def epoch(self, images: ClipImages, draws: EpochDraws) -> tuple[ClipTable, EpochDraws]:
        """Return the clips of an epoch and its draws, as `clip_batches` takes them."""
        return self.train.table, draws

    def batches(self, images: ClipImages, draws: EpochDraws) -> tuple[Any, int]:
        """Make the batches of an epoch, a tf.data set of ``(image, targets, weight)``, and count its clips."""
        table, draws = self.epoch(images, draws)
        return clip_batches(table, images, draws), len(draws.order(table, images.batch))

    def validation(self, images_of: Callable[[Clips], ClipImages]) -> Any:
        """Make the batches that epochs are judged by; None where there are none."""
        valid = self.material.data.validation_clips(self.stage, self.material.classes)
        return None if valid is None else clip_batches(valid.table, images_of(valid))

    def loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the loss of a training batch from what ``model`` gives."""
        return self.label_loss(outputs, targets, weight)

    def label_loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the loss of the labels: what validation clips are judged by."""
        return clip_loss(self.stage.loss, outputs, targets, self.weights, weight)

    def judged(self, outputs: Any, targets: Any, weight: Any) -> tuple[Any, Any]:
        """Compute of a validation batch its loss, and what `judge` needs of it ``[n, ...]``: here the logits."""
        return self.label_loss(outputs, targets, weight), outputs["clip"]

    def judge(self, batches: Any, judged: Callable[..., Any]) -> tuple[float, float]:
        """Compute the loss and the score of all validation clips; ``judged`` is that of a batch, compiled.

        Raises
        ------
        DataError
            Not one clip can be read.
        """
        from scipy.special import expit, softmax

        losses, scores, truth = [], [], []
        for image, targets, weight in batches:
            loss, logits = judged(image, targets, weight)
            losses.append((float(loss), len(targets)))
            scores.append(logits.numpy())
            truth.append(targets.numpy())
        if not losses:
            raise DataError(f"stage {self.stage.title!r}: not one validation clip can be read")
        logits = np.concatenate(scores).astype(np.float64)
        if not np.isfinite(logits).all():
            return float("nan"), float("nan")
        probabilities = softmax(logits, axis=1) if self.stage.activation == "softmax" else expit(logits)
        return mean_loss(losses), padded_cmap(counted_labels(np.concatenate(truth)), probabilities)

    def end(self) -> None:
        """Leave the network as a stage that is done has it."""


def mean_loss(losses: list[tuple[float, int]]) -> float:
    """Average the losses of batches, each weighted by its number of clips."""
    return float(np.average([loss for loss, _ in losses], weights=[n for _, n in losses]))
