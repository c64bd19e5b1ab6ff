"""The stage ``fit_episodes``: train a network for few-shot learning, and choose its epoch on species it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ecotf.errors import ConfigError
from ecotf.pipelines.episode_batches import refuse_mixing
from ecotf.pipelines.episodes import EpisodeConfig
from ecotf.pipelines.samplers import SamplerConfig
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.losses import LossConfig
from ecotf.training.stages import STAGES, FitPlace, Fitted

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork


class FitEpisodesStage(FitClipsStage):
    """Fit a network whose head compares clips with examples: ``prototype``, ``matching`` or ``relation``.

    Epochs are compared by the accuracy in episodes of the validation species (``data.split_by: species`` keeps them
    apart from the training species). In the end the head's classes, the training species, get the means of all of
    their clips, each cut from the middle of its recording.

    Attributes
    ----------
    training
        ``episodic``: each batch is an episode, and the loss is that of its queries, answered by the head's rule from
        its support. ``classical``: the loss is that of the training species by the head's classes, on batches of as
        many clips as an episode has.
    episodes
        Their size, and how many an epoch has; an epoch of classical training is every clip once.
    validation
        Those of validation; by default as ``episodes``, with fewer classes where there are fewer validation species.
    loss
        Published: ``cross_entropy``; for the head ``relation`` ``squared``.
    batch
        Follows from ``episodes``.
    """

    name: Literal["fit_episodes"] = "fit_episodes"  # type: ignore[assignment]
    training: Literal["episodic", "classical"] = "episodic"
    episodes: EpisodeConfig = EpisodeConfig()
    validation: EpisodeConfig | None = None
    loss: LossConfig = LossConfig(name="cross_entropy", average="clips")
    batch: int = Field(32, ge=2, exclude=True)

    @property
    def needs_rule(self) -> bool:
        """Whether it trains heads that answer episodes, and no others."""
        return True

    @model_validator(mode="after")
    def _batch_of_an_episode(self) -> FitEpisodesStage:
        n_clips = self.episodes.n_clips
        if "batch" in self.model_fields_set and self.batch != n_clips:
            raise ValueError(
                f"batch = {self.batch}: it is way * (shots + queries) = {n_clips}; change episodes, and leave it out"
            )
        object.__setattr__(self, "batch", n_clips)
        return self

    @model_validator(mode="after")
    def _episodes_draw_their_clips(self) -> FitEpisodesStage:
        if self.training == "classical":
            return self
        try:
            refuse_mixing(self.sound, self.image)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        for key, is_wrong in (
            ("sampler", self.sampler != SamplerConfig()),
            ("class_weights", self.class_weights is not None),
        ):
            if is_wrong:
                raise ValueError(f"{key}: episodes draw every class alike; leave it out, or set training: classical")
        return self


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
