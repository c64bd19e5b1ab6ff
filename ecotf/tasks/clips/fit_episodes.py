"""The stage ``fit_episodes``: train a network for few-shot learning, and choose its epoch on species it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ecotf.pipelines.episodes import EpisodeConfig
from ecotf.tasks.clips.species_stage import SpeciesStage
from ecotf.tasks.clips.stages import Material
from ecotf.training.stages import STAGES, FitPlace, Fitted

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork


class FitEpisodesStage(SpeciesStage):
    """Fit a network on episodes of species, or classically; see `SpeciesStage` for how it is judged.

    Attributes
    ----------
    training
        ``episodic``: each batch is an episode, and the loss is that of its queries, answered by the head's rule from
        its support. ``classical``: the loss is that of the training species by the head's classes, on batches of as
        many clips as an episode has.
    episodes
        Their size, and how many an epoch has; an epoch of classical training is every clip once. By default those of
        validation have it too, with fewer classes where there are fewer validation species.
    loss
        Published: ``cross_entropy``; for the head ``relation`` ``squared``.
    """

    name: Literal["fit_episodes"] = "fit_episodes"  # type: ignore[assignment]
    training: Literal["episodic", "classical"] = "episodic"
    episodes: EpisodeConfig = EpisodeConfig()

    @property
    def usual_validation(self) -> EpisodeConfig:
        """The size of the episodes of validation where none is given."""
        return self.episodes

    @property
    def clips_of_a_batch(self) -> tuple[int, str]:
        """How many clips a batch has, and how that follows from which settings."""
        return self.episodes.n_clips, "way * (shots + queries) of episodes"

    @property
    def draws_by_class(self) -> bool:
        """Whether it draws every class alike, by itself."""
        return self.training == "episodic"


@STAGES.register(FitEpisodesStage)
def run_fit_episodes(stage: FitEpisodesStage, network: ClipNetwork, material: Material, place: FitPlace) -> Fitted:
    """Fit the network, then give the head the means of the training species.

    Raises
    ------
    DataError
        Fewer training species than ``episodes.way`` have enough clips, or a species has no clip that can be read.
    """
    from ecotf.tasks.clips.episode_lessons import ClassicalLesson, EpisodicLesson, set_classes
    from ecotf.tasks.clips.fit_clips import fit_clips

    lessons: dict[str, Any] = {"episodic": EpisodicLesson, "classical": ClassicalLesson}
    history = fit_clips(network, stage, material, place, lessons[stage.training])
    set_classes(network, stage, material, place)
    return Fitted(network, history)
