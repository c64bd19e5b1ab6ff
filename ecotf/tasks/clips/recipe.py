"""The settings of a network that is trained on weakly labelled clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, model_validator

from ecotf.detection.segment_model import SegmentModel
from ecotf.errors import ConfigError
from ecotf.features import MelFrontEnd
from ecotf.features.image import ImageConfig
from ecotf.models.heads import HEADS
from ecotf.models.image_network import ClipNetworkConfig
from ecotf.models.tagger import clip_image_shape, seen_size
from ecotf.tasks.clips.distil import DistilStage
from ecotf.tasks.clips.fit_contrast import FitContrastStage
from ecotf.tasks.clips.fit_episodes import FitEpisodesStage
from ecotf.tasks.clips.fit_events import FitEventsStage
from ecotf.tasks.clips.fit_onsets import FitOnsetsStage
from ecotf.tasks.clips.plan import ClipPlan, StageModels
from ecotf.tasks.clips.refit import check_refit, stages_again
from ecotf.tasks.clips.stages import FitClipsStage, check_sources
from ecotf.training.stages import STAGES

if TYPE_CHECKING:
    from ecotf.export.exportable import Exportable
    from ecotf.models.tagger import ClipModel
    from ecotf.tasks.clips.episode_rule import OwnRule
    from ecotf.tasks.clips.run import ClipsRun

    ClipStage: TypeAlias = (
        FitClipsStage | DistilStage | FitEpisodesStage | FitContrastStage | FitEventsStage | FitOnsetsStage
    )
else:
    ClipStage = STAGES.config_type(learns_from="clips", fits="network")


class ClipRecipe(ClipPlan):
    """Front end, backbone, head, and the stages that train them on weakly labelled clips.

    Attributes
    ----------
    refit
        When all stages are done, a second network learns from the validation recordings, too
        (`ecotf.tasks.clips.refit`), up to the last epoch. Thresholds and the finder's numbers are those of the first.
    """

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    tensorboard: bool = False
    sample_rate: int = Field(32000, ge=1000)
    front_end: MelFrontEnd
    level: ImageConfig = ImageConfig()
    network: ClipNetworkConfig
    stages: tuple[ClipStage, ...] = Field(min_length=1)
    refit: bool = False

    @property
    def shown_band_hz(self) -> tuple[float, float]:
        """The frequencies that the network hears."""
        return self.front_end.low_hz, self.front_end.high_hz

    def check(self) -> None:
        """Refuse first weights that are missing, and random ones that are frozen."""
        from ecotf.tasks.clips.first_weights import check_weights

        check_weights(self)

    def models(self, cache: Path | None) -> StageModels:
        """Return the networks of the stages."""
        from ecotf.tasks.clips.network_models import NetworkModels

        return NetworkModels(self)

    def load_model(self, folder: Path, classes: Sequence[str]) -> SegmentModel:
        """Read the network of a run."""
        from ecotf.tasks.clips.network_models import load_network

        return load_network(self, folder, classes)

    def exportable(self, run: ClipsRun) -> Exportable:
        """Return what export needs of a run with a network."""
        from ecotf.tasks.clips.export import ClipExport

        return ClipExport(run)

    def own_rule(self, model: ClipModel) -> OwnRule | None:
        """Return how a trained model answers episodes by the rule of its head; None of a head without one."""
        from ecotf.tasks.clips.episode_rule import own_rule

        return own_rule(model) if self.network.head.answers_episodes else None

    def tensorboard_folder(self, run: Path, title: str) -> Path | None:
        """Return where a stage's progress is written, if it is asked for."""
        return run / "tensorboard" / title if self.tensorboard else None

    @property
    def learned(self) -> tuple[str, ...]:
        """The sides of the split that the trained network has learned from."""
        return ("train", "valid") if self.refit else ("train",)

    def expanded(self) -> ClipPlan:
        """Return the plan with the stages of a refit after the others, where there is one."""
        return self.model_copy(update={"stages": (*self.stages, *stages_again(self.stages))}) if self.refit else self

    def for_trials(self) -> ClipPlan:
        """Return the same without intervals, TensorBoard and refit: trials are compared on what validation has."""
        return super().for_trials().model_copy(update={"tensorboard": False, "refit": False})

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

    @property
    def shortest_whole_s(self) -> float:
        """The shortest window that the network hears as one, in steps of 10 ms; see `ClipPlan.shortest_whole_s`."""
        if self.fixed_length:
            raise ConfigError(f"{self.name}: the {self.fixed_length} hears windows of {self.clips.seconds:g} s only")
        parts = self.inference_network.parts
        # In frames of the spectrogram, whatever size they are resized to; a delta needs its width of them.
        least = max(self.network.backbone.smallest[0], self.level.delta_width)
        step = 1
        while seen_size(self.front_end, ImageConfig(), self.sample_rate, step / 100)[0] // parts < least:
            step += 1
        return step / 100

    @model_validator(mode="after")
    def _images_can_be_made(self) -> ClipRecipe:
        if self.level.only_on_host and self.front_end.in_graph:
            raise ValueError(f"{self.level.only_on_host}: the front end {self.front_end.name} makes plain levels only")
        if self.level.separation is not None and self.front_end.scale != "db":
            raise ValueError(f"level.separation: front_end.scale = {self.front_end.scale}; allowed: db")
        return self

    @model_validator(mode="after")
    def _images_can_be_augmented(self) -> ClipRecipe:
        for stage in self.stages if self.front_end.in_graph else ():
            if stage.image.without_masks.changes:
                raise ValueError(
                    f"stage {stage.title!r}: image: the front end {self.front_end.name} makes its image inside the "
                    "network; allowed: image.time_mask, image.frequency_mask, and sound.beta_mixup to mix clips"
                )
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> ClipRecipe:
        check_sources(self.stages)
        if self.refit:
            check_refit(self.stages)
        gives_frames = self.network.head.gives_frames
        for stage in self.stages:
            if stage.needs_frames and not gives_frames:
                raise ValueError(
                    f"stage {stage.title!r}: {stage.name} with loss.frames_share = {stage.loss.frames_share:g} learns "
                    f"frames, but the head {self.network.head.name} gives none; allowed: fit_clips with 0"
                )
            if stage.needs_rule and not self.network.head.answers_episodes:
                known = ", ".join(
                    entry.name for entry in HEADS if getattr(entry.config_class, "answers_episodes", False)
                )
                raise ValueError(
                    f"stage {stage.title!r}: {stage.name} trains heads that compare clips with examples; the head is "
                    f"{self.network.head.name}, allowed: {known}"
                )
            if self.fixed_length and stage.seconds not in (None, self.clips.seconds):
                raise ValueError(
                    f"stage {stage.title!r}: seconds = {stage.seconds:g}, but the {self.fixed_length} takes "
                    f"clips of one length, clips.seconds = {self.clips.seconds:g}"
                )
        if self.network.head.gives_onsets and not any(stage.teaches_onsets for stage in self.stages):
            raise ValueError(
                f"network.head.onsets: no stage teaches the head {self.network.head.name} where events begin; allowed: "
                "false, or a stage fit_events"
            )
        changes = [stage.title for stage in self.stages if stage.changes_onsets]
        if changes and not self.network.head.gives_onsets:
            raise ValueError(
                f"stage {changes[0]!r}: onsets: the head {self.network.head.name} does not answer for them; leave them "
                "out, or set network.head {name: events, onsets: true}"
            )
        rows = self.inference
        if not gives_frames and (rows.score == "centre_frames" or rows.report == "events" or self.evaluation.events):
            raise ValueError(
                f"inference: the head {self.network.head.name} gives no frames; allowed: score clip, report segments, "
                "evaluation.events false"
            )
        rows.check_onsets(self.network.head)
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
            frames, bands = seen_size(self.front_end, self.level, self.sample_rate, seconds)
            least = self.network.backbone.smallest
            if frames // parts < least[0] or bands < least[1]:
                raise ValueError(
                    f"{where}: an image of {frames} frames in {parts} parts by {bands} bands is too small; each part "
                    f"needs at least {least[0]} by {least[1]}"
                )
        return self
