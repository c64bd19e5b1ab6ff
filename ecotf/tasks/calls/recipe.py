"""The settings of a training of a call detector: the part of a recipe that training reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.detection.candidates import DetectionConfig
from ecotf.errors import ConfigError
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.features import BandFrontEnd
from ecotf.features.peaks import PeakConfig
from ecotf.models.heads.trees import TreesConfig
from ecotf.models.patch_network import NetworkConfig
from ecotf.models.saved import patch_shape
from ecotf.pipelines.patches import PatchesConfig
from ecotf.runs.names import RecipeName
from ecotf.tasks.calls import fit_trees  # noqa: F401 - registers its stage
from ecotf.tasks.calls.data import CallDataConfig
from ecotf.tasks.calls.fit_network import FitNetworkStage
from ecotf.tasks.calls.mining import MiningConfig
from ecotf.training.stages import STAGES, StageConfig
from ecotf.tuning.config import TuningConfig

if TYPE_CHECKING:
    CallStage: TypeAlias = StageConfig
else:
    CallStage = STAGES.config_type(learns_from="patches")


class TrainingPlan(Config):
    """Front end, backbone, head, and the stages that train them."""

    task: Literal["calls"] = "calls"
    seed: int = Field(1979, ge=0)
    data: CallDataConfig = CallDataConfig()
    front_end: BandFrontEnd
    peaks: PeakConfig = PeakConfig()
    patches: PatchesConfig = PatchesConfig()
    networks: tuple[NetworkConfig, ...] = Field(min_length=1, max_length=2)
    trees: TreesConfig | None = None
    stages: tuple[CallStage, ...] = Field(min_length=1)
    mining: MiningConfig = MiningConfig()
    detection: DetectionConfig = DetectionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> TrainingPlan:
        names = [network.name for network in self.networks]
        if len(set(names)) < len(names):
            raise ValueError(f"networks: two networks are called {names[0]!r}; each needs a name of its own")
        answers = [network.head.answers for network in self.networks]
        if answers not in (["call_and_species"], ["call", "species"]):
            raise ValueError(
                f"networks answer {', '.join(answers)}; allowed: one that answers call_and_species, or two that answer "
                "call and species"
            )
        fitted = [name for stage in self.stages for name in stage.trains if name != "trees"]
        if fitted != names:
            raise ValueError(f"stages fit the networks {fitted}; allowed: each of {names}, once, in this order")
        trees = sum("trees" in stage.trains for stage in self.stages)
        if (self.trees is not None) != bool(trees) or trees > 1 or (trees and len(names) > 1):
            raise ValueError("trees: a recipe with trees has one network and one stage fit_trees, after fit_network")
        if trees and "trees" not in self.stages[-1].trains:
            raise ValueError("stages: fit_trees comes last, it needs the fitted network")
        for network in self.networks:
            stage = next(s for s in self.stages if isinstance(s, FitNetworkStage) and s.network == network.name)
            if (network.head.activation == "softmax") != (stage.loss == "categorical"):
                raise ValueError(
                    f"network {network.name!r}: a {network.head.activation} head does not go with a {stage.loss} loss; "
                    "allowed: sigmoid with binary, softmax with categorical"
                )
            if network.head.activation == "softmax" and network.head.answers != "call":
                raise ValueError(f"network {network.name!r}: softmax cannot name several species at once; use sigmoid")
        if self.patches.width_s < self.front_end.window_s:
            raise ValueError(
                f"patches.width_s = {self.patches.width_s:g} is shorter than one spectrum, "
                f"front_end.window_s = {self.front_end.window_s:g}"
            )
        try:
            columns, bands = patch_shape(self.front_end, self.patches)
        except ConfigError as error:
            raise ValueError(f"front_end: {error}") from None
        for network in self.networks:
            least = network.backbone.smallest
            if columns < least[0] or bands < least[1]:
                raise ValueError(
                    f"network {network.name!r}: a patch of {columns} columns by {bands} bands is too small for this "
                    f"{network.backbone.name}; allowed: at least {least[0]} by {least[1]}"
                )
        if self.trees is not None and self.trees.measures and {self.patches.at, self.detection.scoring.at} != {"peaks"}:
            raise ValueError(
                "trees.measures = true: peaks are measured; set patches.at and detection.scoring.at to peaks"
            )
        return self


class CallRecipe(TrainingPlan):
    """A plan of a training of a call detector, with a name.

    Attributes
    ----------
    name
        ``family/model``; the runs are kept under it.
    description
        One or two sentences: what it is, where it was published.
    tuning
        What a search over its settings may change; training does not look at it.
    """

    name: RecipeName
    description: str
    tuning: TuningConfig | None = None
