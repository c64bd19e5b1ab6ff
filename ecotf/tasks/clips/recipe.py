"""The settings of a training on weakly labelled clips: the part of a recipe that training reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.datasets.data_config import DataConfig
from ecotf.datasets.labels import NO_EVENT_LABELS, UNNAMED_EVENT_LABELS
from ecotf.detection.frame_events import FrameEventsConfig
from ecotf.detection.segments import SegmentsConfig
from ecotf.errors import ConfigError
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.features import MelFrontEnd
from ecotf.features.image import ImageConfig
from ecotf.models.image_network import ClipNetworkConfig
from ecotf.models.tagger import clip_image_shape, seen_size
from ecotf.pipelines.clips import ClipsConfig
from ecotf.runs.names import RecipeName
from ecotf.tasks.clips.distil import DistilStage
from ecotf.tasks.clips.stages import FitClipsStage, check_sources
from ecotf.training.stages import STAGES
from ecotf.tuning.config import TuningConfig

if TYPE_CHECKING:
    ClipStage: TypeAlias = FitClipsStage | DistilStage
else:
    ClipStage = STAGES.config_type(learns_from="clips")


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

    ignored_labels: tuple[str, ...] = NO_EVENT_LABELS
    unnamed_labels: tuple[str, ...] = UNNAMED_EVENT_LABELS
    backgrounds: tuple[str, ...] = Field(("*",), min_length=1)


class ClipEvaluationConfig(EvaluationConfig):
    """The parts of the evaluation besides the segments.

    Attributes
    ----------
    events
        Also judge events, found in the scores of frames, against annotations with a start and an end.
    """

    tolerance_s: float = Field(0.25, ge=0)
    events: bool = False


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
        How.
    """

    parts: int | None = Field(None, ge=1)
    report: Literal["segments", "events"] = "segments"
    events: FrameEventsConfig = FrameEventsConfig()


class ClipTrainingPlan(Config):
    """Front end, backbone, head, and the stages that train them on clips."""

    task: Literal["clips"]
    seed: int = Field(1979, ge=0)
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    tensorboard: bool = False
    data: ClipDataConfig = ClipDataConfig()
    sample_rate: int = Field(32000, ge=1000)
    front_end: MelFrontEnd
    level: ImageConfig = ImageConfig()
    clips: ClipsConfig = ClipsConfig()
    network: ClipNetworkConfig
    stages: tuple[ClipStage, ...] = Field(min_length=1)
    inference: InferenceConfig = InferenceConfig()
    evaluation: ClipEvaluationConfig = ClipEvaluationConfig()

    @property
    def activation(self) -> Literal["sigmoid", "softmax"]:
        """The function that makes probabilities of the trained network's logits."""
        return self.stages[-1].activation

    @property
    def inference_network(self) -> ClipNetworkConfig:
        """The network as it classifies; its weights are those of the trained one."""
        parts = self.inference.parts or self.network.parts
        return self.network.model_copy(update={"parts": parts})

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(frames, bands, channels)`` of the clips."""
        return clip_image_shape(self.front_end, self.level, self.sample_rate, self.clips.seconds)

    @property
    def fixed_length(self) -> str | None:
        """The part that takes clips of one length only, for messages; None where clips may be of any length."""
        if self.network.head.fixed_length:
            return f"head {self.network.head.name}"
        return f"front end {self.front_end.name}" if self.front_end.in_graph else None

    @model_validator(mode="after")
    def _images_can_be_augmented(self) -> ClipTrainingPlan:
        for stage in self.stages if self.front_end.in_graph else ():
            if stage.image.without_masks.changes:
                raise ValueError(
                    f"stage {stage.title!r}: image: the front end {self.front_end.name} makes its image inside the "
                    "network; allowed: image.time_mask, image.frequency_mask, and sound.beta_mixup to mix clips"
                )
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> ClipTrainingPlan:
        check_sources(self.stages)
        gives_frames = self.network.head.gives_frames
        for stage in self.stages:
            if stage.needs_frames and not gives_frames:
                raise ValueError(
                    f"stage {stage.title!r}: loss.frames_share = {stage.loss.frames_share:g}, but the head "
                    f"{self.network.head.name} gives no frames; allowed: 0"
                )
            if self.fixed_length and stage.seconds not in (None, self.clips.seconds):
                raise ValueError(
                    f"stage {stage.title!r}: seconds = {stage.seconds:g}, but the {self.fixed_length} takes "
                    f"clips of one length, clips.seconds = {self.clips.seconds:g}"
                )
        rows = self.inference
        if not gives_frames and (rows.score == "centre_frames" or rows.report == "events" or self.evaluation.events):
            raise ValueError(
                f"inference: the head {self.network.head.name} gives no frames; allowed: score clip, report segments, "
                "evaluation.events false"
            )
        window = rows.window_s or self.clips.seconds
        if window < rows.segment_s:
            raise ValueError(
                f"inference.segment_s = {rows.segment_s:g} is longer than what the model sees, {window:g} s; set "
                "inference.window_s, or a shorter segment"
            )
        if self.fixed_length and window != self.clips.seconds:
            raise ValueError(
                f"inference.window_s = {window:g}: the {self.fixed_length} takes clips.seconds = "
                f"{self.clips.seconds:g} only"
            )
        try:
            _ = self.image_shape
        except ConfigError as error:
            raise ValueError(f"front_end: {error}") from None
        parts = self.network.parts
        seen = [("front_end", self.clips.seconds, parts)]
        seen += [(f"stage {s.title!r}: seconds = {s.seconds:g}", s.seconds, parts) for s in self.stages if s.seconds]
        seen.append((f"inference: a window of {window:g} s", window, self.inference_network.parts))
        for where, seconds, parts in seen:
            frames, bands = seen_size(self.front_end, self.sample_rate, seconds)
            least = self.network.backbone.smallest
            if frames // parts < least[0] or bands < least[1]:
                raise ValueError(
                    f"{where}: an image of {frames} frames in {parts} parts by {bands} bands is too small; each part "
                    f"needs at least {least[0]} by {least[1]}"
                )
        return self


class ClipRecipe(ClipTrainingPlan):
    """A plan of a training on weakly labelled clips, with a name; see `ecotf.tasks.calls.recipe.CallRecipe`."""

    name: RecipeName
    description: str
    tuning: TuningConfig | None = None
