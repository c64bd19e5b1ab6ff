"""The stage ``fit_events``: frames learn from boxes, whole clips from weak labels, in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from ecotf.detection.false_alarms import FalseAlarmsConfig
from ecotf.pipelines.event_draws import EventDrawsConfig
from ecotf.pipelines.planting import PlantingConfig
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.frame_losses import FrameLossConfig
from ecotf.training.onset_losses import OnsetLossConfig
from ecotf.training.stages import STAGES, FitPlace, Fitted

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork

# What would move events against their frames, or add up what is known and what is not.
_MOVES = ("time_stretch", "time_shift", "sum_mixup", "between_class")


class EventMiningConfig(FalseAlarmsConfig):
    """False alarms of the network that the stage begins with, in the recordings that it learns from.

    Attributes
    ----------
    most
        How many of a class are learned from in each recording: those with the highest scores.
    """

    distance_s: float = Field(0.25, ge=0)
    most: int = Field(20, ge=1)


class FitEventsStage(FitClipsStage):
    """Fit the network on events with a start and an end, and on labels that are somewhere in a recording.

    Of each frame it is known that a class is there, that it is not, or neither; what is not known teaches nothing
    (`ecotf.pipelines.frame_truth`). Epochs are compared by the average precision of the frames of the validation
    clips, the mean over classes; where no frame of them is known, by the padded cmAP of whole clips.

    Attributes
    ----------
    frames
        The loss of frames; ``loss`` is that of whole clips.
    onsets
        That of where events begin and end, and how long they are, of heads that answer (``network.head.onsets``).
    draws
        Which clips a batch is made of; ``sampler`` is not used.
    point_s
        The width that an event without a length is given.
    beside_s
        So near to an event there is no other one of its class, even where not every event is annotated: for dense song,
        and for points. 0: nobody knows.
    quiet
        ``sound.backgrounds`` are cut from stretches of the other training recordings in which no class is, so that
        the background of a recording is not learned as its species. Where there are none, or if false, they are the
        manifest's background recordings.
    planting
        How events are planted into the sound of other recordings (``draws.planted``).
    mining
        Learn from false alarms, too (``draws.mined``); the stage needs trained weights to begin with, and with ``keep:
        best`` it keeps them where no epoch is better.
    """

    teaches_onsets: ClassVar[bool] = True

    name: Literal["fit_events"] = "fit_events"  # type: ignore[assignment]
    frames: FrameLossConfig = FrameLossConfig()
    onsets: OnsetLossConfig = OnsetLossConfig()
    draws: EventDrawsConfig = EventDrawsConfig()
    point_s: float = Field(0.05, gt=0)
    beside_s: float = Field(0.0, ge=0)
    quiet: bool = True
    planting: PlantingConfig = PlantingConfig()
    mining: EventMiningConfig | None = None

    @property
    def changes_onsets(self) -> bool:
        """Whether it says how onsets are taught, other than by default."""
        return self.onsets != OnsetLossConfig()

    @property
    def needs_frames(self) -> bool:
        """Whether the loss looks at the scores of frames: always."""
        return True

    @property
    def needs_start(self) -> bool:
        """Whether it makes no sense with random weights."""
        return self.mining is not None

    @model_validator(mode="after")
    def _of_events(self) -> FitEventsStage:
        if self.activation != "sigmoid":
            raise ValueError(
                f"loss.name = {self.loss.name}: events may overlap; allowed: binary, focal_sigmoid, squared"
            )
        for name in _MOVES:
            if getattr(self.sound, name).probability:
                raise ValueError(
                    f"sound.{name}: moves events away from their frames, or mixes what is known with what is not; "
                    "allowed to mix clips are sound.beta_mixup and image.mixup"
                )
        if self.image.cutmix.probability:
            raise ValueError("image.cutmix: moves events away from their frames; allowed to mix clips: image.mixup")
        if self.class_weights is not None:
            raise ValueError("class_weights: rare classes are drawn more often (draws.power); allowed: null")
        if self.mining is not None and not self.draws.mined:
            raise ValueError(
                "draws.mined = 0, so nothing of what is mined is learned; allowed: above 0, or mining null"
            )
        if self.segments:
            raise ValueError("segments: clips lie around events (draws); allowed: false")
        return self


@STAGES.register(FitEventsStage)
def run_fit_events(stage: FitEventsStage, network: ClipNetwork, material: Material, place: FitPlace) -> Fitted:
    """Fit a network on events and weak labels."""
    from ecotf.tasks.clips.event_lesson import EventLesson
    from ecotf.tasks.clips.fit_clips import fit_clips

    return Fitted(network, fit_clips(network, stage, material, place, EventLesson))
