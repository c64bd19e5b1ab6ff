"""The stage ``fit_projection``: episodes over the embeddings of a frozen embedder, each clip embedded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from ecotf.tasks.clips.fit_episodes import FitEpisodesStage
from ecotf.tasks.clips.stages import Material
from ecotf.training.stages import STAGES, FitPlace, Fits, Fitted

if TYPE_CHECKING:
    from ecotf.models.frozen import Frozen

_OF_SOUND = ("sound", "image", "sampler", "class_weights", "frozen", "weights_from", "seconds")


class FitProjectionStage(FitEpisodesStage):
    """Fit a projection of embeddings, and the head behind it, on episodes of species or classically.

    As `FitEpisodesStage`, but clips go through the embedder before the first epoch, so nothing can be done to their
    sound.
    """

    fits: ClassVar[Fits] = "projection"

    name: Literal["fit_projection"] = "fit_projection"  # type: ignore[assignment]

    @property
    def trains(self) -> tuple[str, ...]:
        """The projection, and what is behind it."""
        return ("head",)

    @model_validator(mode="after")
    def _embeds_once(self) -> Self:
        for key in _OF_SOUND:
            if getattr(self, key) != type(self).model_fields[key].get_default(call_default_factory=True):
                raise ValueError(f"{key}: each clip is embedded once, as it is; leave it out")
        return self


@STAGES.register(FitProjectionStage)
def run_fit_projection(stage: FitProjectionStage, model: Frozen, material: Material, place: FitPlace) -> Fitted:
    """Embed the clips, fit the projection, then give the head the means of the training species.

    Raises
    ------
    DataError
        As `run_fit_episodes`.
    """
    from ecotf.tasks.clips.projection_lessons import fit_projection

    head, history = fit_projection(stage, model, material, place)
    return Fitted(model.with_head(head, material.classes, material.data.plan.pool), history)
