"""The lesson of the stage ``fit_events``: its clips, their targets, and the loss of what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ecotf.detection.segments import halved_to
from ecotf.errors import DataError
from ecotf.evaluation.average_precision import average_precision
from ecotf.evaluation.segment_metrics import counted_labels, padded_cmap
from ecotf.models.tagger import mel_spectrogram
from ecotf.pipelines.clips import Clips, ClipTable
from ecotf.pipelines.crops import SkippedRecordings
from ecotf.pipelines.event_draws import EventDraws, quiet_places
from ecotf.pipelines.event_rows import EventRows, event_rows
from ecotf.pipelines.frame_truth import ClipTruth, FrameTruth
from ecotf.pipelines.image_batches import ClipImages, EpochDraws, clip_batches
from ecotf.pipelines.onset_truth import OCTAVES, OnsetTruth
from ecotf.pipelines.planting import Planting
from ecotf.pipelines.quiet_sounds import Backgrounds, QuietSounds
from ecotf.tasks.clips.event_checks import describe_events, describe_validation, require_negatives, require_steps
from ecotf.tasks.clips.fit_events import FitEventsStage
from ecotf.tasks.clips.lessons import LabelLesson, mean_loss
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.frame_losses import frame_loss
from ecotf.training.losses import averaged, clip_loss
from ecotf.training.onset_losses import onset_loss

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork

_SURE = 0.999  # what is known of a mixture is what is known of both
_QUIET_S = 1.0


class EventLesson(LabelLesson):
    """Learns frames from events, and whole clips from events and weak labels.

    Raises
    ------
    DataError
        Nothing says where the classes are not, or events are shorter than a frame.
    """

    score_name: ClassVar[str] = "frame_ap"
    score_title: ClassVar[str] = "frame AP"
    judges: ClassVar[int] = 0  # of what is said of frames: their scores, or 1 for onsets

    def __init__(
        self, network: ClipNetwork, stage: FitClipsStage, material: Material, train: Clips, weights: np.ndarray | None
    ) -> None:
        super().__init__(network, stage, material, train, weights)
        assert isinstance(stage, FitEventsStage)
        self.config = stage
        plan = material.data.plan
        self.seconds = stage.seconds or plan.clips.seconds
        self.frames, self.frame_s = frames_of(network, material, self.seconds)
        self.onsets = OnsetTruth(stage.onsets.width) if network.config.head.gives_onsets else None
        self.rows = self._rows("train", train.recordings)
        self.truth = self._truth(self.rows)
        require_steps(self.rows, self.frame_s, stage.title, material.classes)
        valid = material.data.side("valid", stage.data).recordings if "valid" in plan.learned else []
        if valid:  # they are learned from later on, and a refusal must come before the hours
            require_steps(self._rows("valid", valid), self.frame_s, stage.title, material.classes)
        require_negatives(self.rows, stage.title, material.classes)
        self.mined = self._mined(network)
        self.draws = EventDraws(self.rows, stage.draws, self.seconds, self.mined.places)
        self.drawn = self.draws.shares
        self.quiet = quiet_places(self.rows, min(_QUIET_S, self.seconds))
        band, sounds = (plan.front_end.low_hz, plan.front_end.high_hz), material.data.sounds(train.recordings)
        self.planting = Planting(stage.planting, self.truth, sounds, self.quiet, band)

    @property
    def keeps_start(self) -> bool:
        """Whether false alarms were mined: a network that knows the events may lose some of them by that."""
        return self.config.mining is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the annotations."""
        shares = ", ".join(f"{share:.0%} {name}" for name, share in self.drawn.items())
        own = describe_events(self.rows, self.seconds, self.material.classes)
        valid = describe_validation(self.material.data.side("valid", self.stage.data).table, self.material.classes)
        step = f"frames of {1000 * self.frame_s:g} ms; of an epoch of {self.draws.clips:,} clips {shares}"
        return (*self.rows.notes, *own, *valid, *self.mined.notes, *self._without_decoys(), step)

    def _without_decoys(self) -> list[str]:
        """Say of which classes nothing can be planted that is cut out of recordings without them."""
        if not (self.config.planting.elsewhere and "planted" in self.drawn):
            return []
        names = [name for code, name in enumerate(self.material.classes) if self.planting.everywhere(code)]
        return (
            [f"no recording is known to be without {', '.join(names)}, so no decoy is cut out of one"] if names else []
        )

    def backgrounds(self, number: int) -> Sequence[Backgrounds]:
        """Return quiet stretches of the training recordings for each set, or the manifest's background recordings."""
        if self.config.quiet and number and len(self.quiet):
            return [QuietSounds(self.material.data.sounds(self.train.recordings), self.quiet)] * number
        return super().backgrounds(number)

    def images(self, clips: Clips, report: SkippedRecordings, threads: int) -> ClipImages:
        """Say how clips become images; targets are those of `FrameTruth`."""
        truth = self.truth if clips is self.train else self._truth(self._rows("valid", clips.recordings))
        return replace(super().images(clips, report, threads), truth=truth.packed)

    def epoch(self, images: ClipImages, draws: EpochDraws) -> tuple[ClipTable, EpochDraws]:
        """Draw the clips of an epoch; recordings keep the weights that the manifest gives them."""
        recording, start_s, planted = self.draws.draw(draws.seed, draws.number)
        own = self.train.table
        table = ClipTable(recording, start_s, own.targets[recording], own.weight[recording])
        plant = None
        if "planted" in self.drawn:
            plant = self.planting.into(planted, recording, start_s, (draws.seed, draws.number))
        return table, replace(draws, sampler=None, planted=plant)

    def label_loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the loss of frames and of whole clips, of what is known."""
        import tensorflow as tf

        truth, share, classes = self.truth.unpacked(targets), self.config.frames.share, self.rows.n_classes
        known = tf.cast(truth.frames_known > _SURE, tf.float32)
        of_frames = frame_loss(self.config.frames, outputs["frames"][..., :classes], truth.frames, known)
        clip_known = tf.cast(truth.clip_known > _SURE, tf.float32)
        of_clips = clip_loss(self.config.loss, outputs, truth.clip, clip_known, weight)
        loss = share * averaged(of_frames, weight, self.config.loss.average) + (1 - share) * of_clips
        if self.onsets is None:
            return loss
        share = self.config.onsets.share
        return share * self.loss_of_onsets(outputs, truth, weight) + (1 - share) * loss

    def loss_of_onsets(self, outputs: Any, truth: ClipTruth, weight: Any) -> Any:
        """Compute the loss of where events begin and end, and of how long they are."""
        import tensorflow as tf

        known = tf.cast(truth.frames_known > _SURE, tf.float32)
        logits = outputs["frames"][..., self.rows.n_classes :]
        own = onset_loss(self.config.onsets, logits, truth, known, OCTAVES)
        return averaged(own, weight, self.config.loss.average)

    def judged(self, outputs: Any, targets: Any, weight: Any) -> tuple[Any, Any]:
        """Compute the loss of a validation batch, and give the logits of its clips and frames."""
        import tensorflow as tf

        classes = self.rows.n_classes
        frames = tf.cast(outputs["frames"], tf.float32)[..., self.judges * classes : (self.judges + 1) * classes]
        flat = tf.reshape(frames, [tf.shape(frames)[0], -1])
        return self.label_loss(outputs, targets, weight), tf.concat([tf.cast(outputs["clip"], tf.float32), flat], 1)

    def judge(self, batches: Any, judged: Callable[..., Any]) -> tuple[float, float]:
        """Compute the loss, and the average precision of the frames that are known, the mean over classes."""
        losses, scores, truths = [], [], []
        for image, targets, weight in batches:
            loss, logits = judged(image, targets, weight)
            losses.append((float(loss), len(targets)))
            scores.append(logits.numpy())
            truths.append(targets.numpy())
        if not losses:
            raise DataError(f"stage {self.stage.title!r}: not one validation clip can be read")
        logits, truth = np.concatenate(scores), self.truth.unpacked(np.concatenate(truths))
        if not np.isfinite(logits).all():
            return float("nan"), float("nan")
        classes = self.rows.n_classes
        part = (truth.frames, truth.onsets)[self.judges]
        of_frames = frame_average_precision(logits[:, classes:].reshape(part.shape), part, truth.frames_known)
        if np.isfinite(of_frames).any():
            return mean_loss(losses), float(np.nanmean(of_frames))
        return mean_loss(losses), padded_cmap(counted_labels(truth.clip), logits[:, :classes].astype(np.float64))

    def validation(self, images_of: Callable[[Clips], ClipImages]) -> Any:
        """Make the batches that epochs are judged by; None where there are none."""
        valid = self.material.data.validation_clips(self.stage, self.material.classes)
        return None if valid is None else clip_batches(valid.table, images_of(valid))

    def _rows(self, split: str, recordings: Sequence[str]) -> EventRows:
        data, plan = self.material.data, self.material.data.plan
        return event_rows(
            data.side(split, self.stage.data), recordings, data.durations, self.material.classes,
            unnamed_labels=data.unnamed_labels, band_hz=(plan.front_end.low_hz, plan.front_end.high_hz),
            point_s=self.config.point_s, secondary_value=plan.clips.secondary_value, apart=self.onsets is not None,
        )  # fmt: skip

    def _truth(self, rows: EventRows) -> FrameTruth:
        least = self.material.data.plan.clips.least_overlap
        return FrameTruth(rows, self.frames, self.frame_s, self.seconds, least, self.onsets, self.config.beside_s)

    def _mined(self, network: ClipNetwork) -> Any:
        from ecotf.tasks.clips.mine_events import NONE_MINED, mine_events

        if self.config.mining is None:
            return NONE_MINED
        return mine_events(network, self.config.mining, self.material, self.truth)


def frames_of(network: ClipNetwork, material: Material, seconds: float) -> tuple[int, float]:
    """Return how many frames a network answers for a clip, and from one to the next in seconds."""
    plan = material.data.plan
    spectrogram = mel_spectrogram(plan.front_end, plan.sample_rate)
    samples = round(seconds * plan.sample_rate)
    shape = plan.model_copy(update={"clips": plan.clips.model_copy(update={"seconds": seconds})}).image_shape
    frames = int(network.model(np.zeros((1, *shape), np.float32), training=False)["frames"].shape[1])
    if frames == 1:
        return 1, seconds
    return frames, halved_to(spectrogram.n_frames(samples), frames) * spectrogram.hop_s


def frame_average_precision(logits: np.ndarray, targets: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Compute the average precision of each class over its known frames, float64 ``[classes]``; NaN without events.

    Parameters
    ----------
    logits, targets, known
        ``[n, t, classes]``; a frame has a class where its target is at least 0.5.
    """
    found = np.full(logits.shape[2], np.nan)
    for code in range(logits.shape[2]):
        here = known[..., code] > _SURE
        hits = targets[..., code][here] >= 0.5
        if hits.any():
            found[code] = average_precision(logits[..., code][here].astype(np.float64), hits, int(hits.sum()))
    return found
