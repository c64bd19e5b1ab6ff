"""What the stages of few-shot learning share: they learn from species, and are judged by species they never saw."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

from pydantic import Field, model_validator

from ecotf.errors import ConfigError
from ecotf.pipelines.episode_batches import refuse_mixing
from ecotf.pipelines.episodes import EpisodeConfig
from ecotf.pipelines.samplers import SamplerConfig
from ecotf.tasks.clips.stages import FitClipsStage
from ecotf.training.losses import LossConfig


class SpeciesStage(FitClipsStage):
    """The settings of a stage whose head compares clips with examples: ``prototype``, ``matching`` or ``relation``.

    Epochs are compared by the accuracy in episodes of the validation species (``data.split_by: species`` keeps them
    apart from the training species). In the end the head's classes, the training species, get the means of all of
    their clips, each cut from the middle of its recording.

    Attributes
    ----------
    validation
        The size of the episodes of validation.
    loss
        Of episodes, and of the head's classes where it learns from them.
    batch
        Follows from other settings.
    """

    validation: EpisodeConfig | None = None
    loss: LossConfig = LossConfig(name="cross_entropy", average="clips")
    batch: int = Field(32, ge=2, exclude=True)

    @property
    @abstractmethod
    def usual_validation(self) -> EpisodeConfig:
        """The size of the episodes of validation where none is given; its ``way`` is at most what there is."""

    @property
    @abstractmethod
    def clips_of_a_batch(self) -> tuple[int, str]:
        """How many clips a batch has, and how that follows from which settings."""

    @property
    def draws_by_class(self) -> bool:
        """Whether it draws every class alike, by itself."""
        return True

    @property
    def needs_rule(self) -> bool:
        """Whether it trains heads that answer episodes, and no others."""
        return True

    @model_validator(mode="after")
    def _batch_follows(self) -> Self:
        n_clips, why = self.clips_of_a_batch
        if "batch" in self.model_fields_set and self.batch != n_clips:
            raise ValueError(f"batch = {self.batch}: it is {why} = {n_clips}; change those, and leave it out")
        object.__setattr__(self, "batch", n_clips)
        return self

    @model_validator(mode="after")
    def _draws_its_clips(self) -> Self:
        if not self.draws_by_class:
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
                raise ValueError(f"{key}: {self.name} draws every class alike; leave it out")
        return self
