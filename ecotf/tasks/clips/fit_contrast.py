"""The stage ``fit_contrast``: supervised contrastive training of an embedding, for species that come later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ecotf.pipelines.episodes import EpisodeConfig
from ecotf.tasks.clips.species_stage import SpeciesStage
from ecotf.tasks.clips.stages import Material
from ecotf.training.contrast import ContrastConfig
from ecotf.training.stages import STAGES, FitPlace, Fitted

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork


class FitContrastStage(SpeciesStage):
    """Fit a network so that clips of a class lie together and others apart (see `SpeciesStage` for what is judged).

    A batch has several classes, some clips of each, and of each clip several views: crops that are drawn and augmented
    each by itself. They are compared behind a projector of two dense layers, which is dropped afterwards. The classes'
    layer of the head learns nothing; it gets their means in the end.

    Attributes
    ----------
    contrast
        The loss.
    classes, clips, views
        Of a batch; where there are fewer classes, all. A view of a clip is no other recording, so ``clips`` should be 2
        or more.
    batches
        In an epoch; null: about every clip once.
    projector
        Units of its two layers.
    seconds
        Length of the views. What is judged in the end, and the means of the classes, are of ``clips.seconds``.
    """

    name: Literal["fit_contrast"] = "fit_contrast"  # type: ignore[assignment]
    contrast: ContrastConfig = ContrastConfig()
    classes: int = Field(16, ge=2)
    clips: int = Field(2, ge=1)
    views: int = Field(2, ge=1)
    batches: int | None = Field(None, ge=1)
    projector: tuple[int, int] = (256, 128)

    @property
    def usual_validation(self) -> EpisodeConfig:
        """The size of the episodes of validation where none is given."""
        return EpisodeConfig(queries=5)

    @property
    def clips_of_a_batch(self) -> tuple[int, str]:
        """How many clips a batch has, and how that follows from which settings."""
        return self.classes * self.clips * self.views, "classes * clips * views"


@STAGES.register(FitContrastStage)
def run_fit_contrast(stage: FitContrastStage, network: ClipNetwork, material: Material, place: FitPlace) -> Fitted:
    """Fit the network, then give the head the means of the training classes.

    Raises
    ------
    ConfigError
        The head compares maps, of which there is no embedding.
    DataError
        There is but one class, or one has no clip that can be read.
    """
    from ecotf.tasks.clips.contrast_lesson import ContrastLesson
    from ecotf.tasks.clips.episode_lessons import set_classes
    from ecotf.tasks.clips.fit_clips import fit_clips

    history = fit_clips(network, stage, material, place, ContrastLesson)
    set_classes(network, stage.model_copy(update={"seconds": None}), material, place)
    return Fitted(network, history)
