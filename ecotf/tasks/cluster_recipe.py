"""The recipe of a clustering: how clips become clusters, and how a model learns from them before it looks again."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ecotf.clustering.choosing import ClusteringConfig
from ecotf.config import Config
from ecotf.models.heads.small_network import SmallNetworkConfig
from ecotf.runs.names import RecipeName

ChooseIteration = Literal["last", "dbcv", "relative_validity", "stability"]


class NetworkTuning(Config):
    """How the network of a run learns from clusters: as one more stage of its recipe.

    Attributes
    ----------
    stage
        Its settings, as in a recipe; null: the last stage of the run's own recipe, on the clips of the clusters.
    changes
        Dotted keys of the stage, and other values for them.
    way
        ``clusters``: episodes have all clusters, as published; null: as the stage says.
    """

    stage: dict[str, Any] | None = None
    changes: dict[str, Any] = Field(default_factory=dict)
    way: Literal["clusters"] | None = None


class ClusterRecipe(Config):
    """Cluster, and learn from the clusters what to hear, several times.

    Attributes
    ----------
    clustering
        How rows of embeddings become clusters.
    iterations
        How often a model learns from clusters and embeds again; 0 clusters once.
    choose
        Which iteration is the result: the ``last``, or the one with the greatest figure. No label is looked at.
    unchanged
        Stop when clusters are this much alike (adjusted Rand index, all clips) from one iteration to the next.
    most_clips
        At most so many clips of a cluster are learned from, the surest ones.
    network
        How the network of a run learns; null: a projection is learned on the embeddings of runs, too.
    projection
        What any other embedder gets: a small network over its embeddings that tells the clusters apart. Its hidden
        layer is the embedding of the next iteration.
    """

    task: Literal["clustering"]
    name: RecipeName
    description: str
    seed: int = Field(1979, ge=0)
    clustering: ClusteringConfig = ClusteringConfig.model_validate({})
    iterations: int = Field(3, ge=0, le=1000)
    choose: ChooseIteration = "last"
    unchanged: float = Field(1.0, gt=0, le=1)
    most_clips: int = Field(200, ge=2)
    network: NetworkTuning | None = None
    projection: SmallNetworkConfig = SmallNetworkConfig(strategy="powerset", epochs=30)

    @model_validator(mode="after")
    def _can_choose(self) -> ClusterRecipe:
        if self.choose == "stability" and not self.clustering.resamples:
            raise ValueError("choose = 'stability' needs clustering.resamples, at least 1")
        if self.projection.strategy != "powerset":
            raise ValueError("projection.strategy: a clip is of one cluster; allowed: powerset")
        return self
