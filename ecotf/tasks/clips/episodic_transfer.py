"""The settings of few-shot learning over a frozen embedder: a learned projection, and a head that compares examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pydantic import Field, model_validator

from ecotf.models.heads import TableHead
from ecotf.models.projection import EpisodicHead, ProjectionConfig
from ecotf.tasks.clips.fit_projection import FitProjectionStage
from ecotf.tasks.clips.transfer_recipe import TransferRecipe
from ecotf.training.stages import STAGES

if TYPE_CHECKING:
    from ecotf.tasks.clips.episode_rule import OwnRule

    ProjectionStage: TypeAlias = FitProjectionStage
else:
    ProjectionStage = STAGES.config_type(learns_from="clips", fits="projection")


class EpisodicTransferRecipe(TransferRecipe):
    """Matching, prototypical and relation networks over the embeddings of any embedder.

    Attributes
    ----------
    head
        ``prototype``, ``matching`` or ``relation``, as of a network of clips; it compares projected embeddings.
    project
        The layers between an embedding and what is compared.
    """

    stages: tuple[ProjectionStage, ...] = Field(min_length=1, max_length=1)  # type: ignore[assignment]
    head: EpisodicHead  # type: ignore[assignment]
    project: ProjectionConfig = ProjectionConfig()

    precision: ClassVar[str] = "float32"

    def read_head(self, folder: Path) -> TableHead:
        """Read the projection and what is behind it."""
        from ecotf.models.projection import load_projected

        return load_projected(folder)

    def own_rule(self, model: Any) -> OwnRule:
        """Return how the head answers episodes of projected embeddings."""
        from ecotf.tasks.clips.episode_rule import OwnRule, answering, comparing

        compare = comparing(model.head)
        return OwnRule(lambda sound: compare(model.embeddings(sound).mean(axis=1)), answering(model.head))

    @property
    def shortest_whole_s(self) -> float:
        """The length that it hears: that of its segments; its embedding is no other model's, so it can be enrolled on.

        Longer windows are heard as several.
        """
        return self.inference.window_s or self.inference.segment_s

    @model_validator(mode="after")
    def _pools_embeddings(self) -> EpisodicTransferRecipe:
        if self.pool != "embeddings":
            raise ValueError(f"pool = {self.pool!r}: episodes are of one embedding a clip; allowed: 'embeddings'")
        return self
