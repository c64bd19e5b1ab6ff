"""The settings that every training on clips has, whatever model it trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, Field, model_validator

from ecotf.config import Config
from ecotf.datasets.data_config import DataConfig
from ecotf.detection import best_events  # noqa: F401 - all finders are registered
from ecotf.detection.finders import FINDERS, FinderConfig
from ecotf.detection.frame_events import FrameEventsConfig
from ecotf.detection.frequency_boxes import BoxesConfig
from ecotf.detection.segment_model import SegmentModel
from ecotf.detection.segments import SegmentsConfig
from ecotf.errors import ConfigError
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.models.heads.base import HeadConfig
from ecotf.pipelines.clips import ClipsConfig
from ecotf.pipelines.episodes import EpisodeConfig
from ecotf.runs.names import RecipeName
from ecotf.tasks.clips.stages import ClipStageConfig
from ecotf.tuning.config import TuningConfig

if TYPE_CHECKING:
    from ecotf.export.exportable import Exportable
    from ecotf.tasks.clips.episode_rule import OwnRule
    from ecotf.tasks.clips.run import ClipsRun
    from ecotf.training.run_store import RunStore


def _with_name(value: Any) -> Any:
    """Settings of a finder without a name are those of peaks, as in recipes from before there were others."""
    return {"name": "peaks", **value} if isinstance(value, dict) else value


if TYPE_CHECKING:
    AnyFinder = FinderConfig
else:
    AnyFinder = Annotated[FINDERS.config_type(), BeforeValidator(_with_name)]


class ClipDataConfig(DataConfig):
    """The split of recordings if the manifest has none, and the meaning of their labels.

    Attributes
    ----------
    ignored_labels
        Shell patterns of labels that are annotated but are no classes (:mod:`ecotf.datasets.labels`): a recording that
        has only those becomes a clip of no class.
    unnamed_labels
        Shell patterns of labels of events whose species is not known. They are no classes, and segments that hold only
        those are left out: nobody knows whether a class is there. Where no other label is there they are classes.
    backgrounds
        Shell patterns of the paths of background recordings (role ``background``), one for each of the stages'
        ``sound.backgrounds``; the last serves those after it too.
    """

    backgrounds: tuple[str, ...] = Field(("*",), min_length=1)


class ClipEvaluationConfig(EvaluationConfig):
    """The parts of the evaluation besides the segments.

    Attributes
    ----------
    events
        Also judge events, found in the scores of frames, against annotations with a start and an end.
    episodes
        Also judge episodes of few-shot learning, of each of these sizes, on the test species.
    """

    tolerance_s: float = Field(0.25, ge=0)
    collar_s: float = Field(0.2, ge=0)
    collar_share: float = Field(0.2, ge=0, lt=1)
    events: bool = False
    episodes: tuple[EpisodeConfig, ...] = ()


class InferenceConfig(SegmentsConfig):
    """The settings by which recordings are classified.

    Attributes
    ----------
    parts
        Into how many parts the network cuts what it sees, where that is shorter than the clips it was trained on; by
        default as in training.
    report
        ``segments``: the classes of each segment that reach their thresholds. ``events``: events found in the frames.
    events
        The event finder: ``peaks`` (the default, where no name is given), ``change_detection``, ``onsets``,
        or ``best`` of several.
    boxes
        Give each event its lowest and highest frequency; by default they are those of all that the model hears.
    """

    parts: int | None = Field(None, ge=1)
    report: Literal["segments", "events"] = "segments"
    events: AnyFinder = FrameEventsConfig()
    boxes: BoxesConfig | None = None

    def check_onsets(self, head: HeadConfig) -> None:
        """Refuse a finder that reads onsets where the head says nothing of them; raises `ValueError`."""
        if self.events.reads_onsets and not head.gives_onsets:
            finder = type(self.events).model_fields["name"].default
            raise ValueError(
                f"inference.events: the finder {finder} reads onsets, and the head {head.name} gives none; allowed: "
                "network.head {name: events, onsets: true}, or another finder"
            )

    @model_validator(mode="after")
    def _boxes_are_of_events(self) -> InferenceConfig:
        if self.boxes is not None and self.report != "events":
            raise ValueError("boxes: segments have no edges in frequency; allowed: with report = events")
        return self


class StageModels(Protocol):
    """The models of a training: what each stage begins with, what is kept of it, and the model in the end."""

    def begin(self, number: int, classes: Sequence[str], run_store: RunStore) -> tuple[Any, str]:
        """Make the model that stage ``number`` trains, and say in a few words what it begins with."""

    def keep(self, model: Any, classes: Sequence[str], folder: Path) -> None:
        """Write what a stage has learned into an existing folder."""

    def finished(self, folder: Path, classes: Sequence[str]) -> SegmentModel:
        """Make the trained model from the folder of the last stage."""


class ClipPlan(Config):
    """What training, classifying and export must know of any recipe of clips."""

    task: Literal["clips"]
    name: RecipeName
    description: str
    seed: int = Field(1979, ge=0)
    data: ClipDataConfig = ClipDataConfig()
    clips: ClipsConfig = ClipsConfig()
    stages: tuple[ClipStageConfig, ...] = Field(min_length=1)
    inference: InferenceConfig = InferenceConfig()
    evaluation: ClipEvaluationConfig = ClipEvaluationConfig()
    tuning: TuningConfig | None = None

    @property
    def shown_band_hz(self) -> tuple[float, float]:
        """The frequencies that spectrograms for people show."""
        return 50.0, 12_000.0

    def check(self) -> None:
        """Refuse what cannot be trained, before anything is written; raises `ConfigError`."""
        raise NotImplementedError

    def models(self, cache: Path | None) -> StageModels:
        """Return what makes the models of the stages; ``cache`` keeps what can be computed once for many trainings."""
        raise NotImplementedError

    def load_model(self, folder: Path, classes: Sequence[str]) -> SegmentModel:
        """Read the model that a run keeps in ``folder``; raises `ConfigError`."""
        raise NotImplementedError

    def exportable(self, run: ClipsRun) -> Exportable:
        """Return what export needs of a run."""
        raise NotImplementedError

    def own_rule(self, model: Any) -> OwnRule | None:
        """Return how a trained model answers episodes by itself; None where it has no rule for them."""
        return None

    def tensorboard_folder(self, run: Path, title: str) -> Path | None:
        """Return where a stage's progress is written for TensorBoard; None where it is not."""
        return None

    @property
    def shortest_whole_s(self) -> float:
        """The shortest window that the model hears as one, in seconds; raises `ConfigError` where it hears one length.

        A model of one length hears only windows of ``inference.window_s``.
        """
        raise ConfigError(
            f"{self.name}: a head on a frozen embedder hears windows of one length; embed with the embedder"
        )

    @property
    def learned(self) -> tuple[str, ...]:
        """The sides of the split that the trained model has learned from."""
        return ("train",)

    def expanded(self) -> ClipPlan:
        """Return the plan with all stages that a training has: the recipe's, and after them those of a refit."""
        return self

    def for_trials(self) -> ClipPlan:
        """Return the same without what only people look at: trials are compared by their figures."""
        return self.model_copy(update={"evaluation": self.evaluation.model_copy(update={"bootstrap": 1})})
