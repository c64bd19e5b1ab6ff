"""The stage ``distil``: learn from a teacher's predictions besides the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ecotf.pipelines.teacher_file import read_predictions
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.stages import STAGES, FitPlace, Fitted

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork


class DistilStage(FitClipsStage):
    """Fit the network on clips, and on what a teacher says of them (Hinton et al. 2015; Schmid et al., ICASSP 2023).

    The loss is (1 - ``teacher_share``) * that of the labels + ``teacher_share`` * that of the teacher. A teacher's
    scores are learned with binary cross-entropy, or cross-entropy where ``loss`` is of one class out of many. Its
    embeddings are learned by a linear layer on the backbone's averaged features, which is dropped afterwards. Clips
    that are mixed have the mixture of their teacher's predictions. Validation clips are judged by their labels alone.

    Attributes
    ----------
    teacher
        The file that ``ecotf teach`` wrote, with all training clips of the stage.
    teacher_share
        Share of the teacher in the loss; published 0.9.
    temperature
        The logits of the teacher's scores and of the student are divided by it in the teacher's part of the loss, which
        is multiplied by its square; published 1.
    distance
        Between embeddings, each number standardised over the training clips: 1 - ``cosine``, or the mean ``squared``
        difference.
    """

    name: Literal["distil"] = "distil"  # type: ignore[assignment]
    teacher: str = Field(min_length=1)
    teacher_share: float = Field(0.9, gt=0, le=1)
    temperature: float = Field(1.0, ge=0.1, le=100)
    distance: Literal["cosine", "squared"] = "cosine"

    def check_files(self) -> None:
        """Refuse files that are absent, damaged or something else, before anything is trained (`ConfigError`)."""
        super().check_files()
        read_predictions(Path(self.teacher))


@STAGES.register(DistilStage)
def run_distil(stage: DistilStage, network: ClipNetwork, material: Material, place: FitPlace) -> Fitted:
    """Fit a network on clips and a teacher's predictions of them."""
    from ecotf.tasks.clips.fit_clips import fit_clips
    from ecotf.tasks.clips.teacher_lesson import TeacherLesson

    return Fitted(network, fit_clips(network, stage, material, place, TeacherLesson))
