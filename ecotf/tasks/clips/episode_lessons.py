"""The lessons of the stage ``fit_episodes``: of episodes or of labels, both judged by episodes of other species."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ecotf.errors import DataError
from ecotf.pipelines.clips import Clips
from ecotf.pipelines.crops import SkippedRecordings
from ecotf.pipelines.episode_batches import episode_batches
from ecotf.pipelines.episodes import EpisodeClips, EpisodeConfig, Episodes, draw_episodes
from ecotf.pipelines.image_batches import ClipImages, EpochDraws, clip_batches
from ecotf.tasks.clips.episode_rule import answering, comparing, head_config, with_compared
from ecotf.tasks.clips.fit_episodes import FitEpisodesStage
from ecotf.tasks.clips.lessons import LabelLesson
from ecotf.tasks.clips.species_clips import (
    SpeciesClips,
    episode_source,
    in_the_middle,
    require_clips_of_all,
    silent_lines,
    species_clips,
)
from ecotf.tasks.clips.species_stage import SpeciesStage
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.losses import averaged, per_clip

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork
    from ecotf.training.stages import FitPlace

_TOLD = 5


class JudgedByEpisodes(LabelLesson):
    """Learns the training species from labels; judged by the accuracy in episodes of validation species."""

    score_name: ClassVar[str] = "accuracy"
    score_title: ClassVar[str] = "accuracy in episodes"

    def __init__(
        self, network: ClipNetwork, stage: FitClipsStage, material: Material, train: Clips, weights: np.ndarray | None
    ) -> None:
        super().__init__(network, stage, material, train, weights)
        assert isinstance(stage, SpeciesStage)
        self.config, self.head, self.head_config = stage, network.head, head_config(network)
        self.model = with_compared(network)
        self.answer = answering(network)
        self.told: list[str] = []
        self.valid = self._validation_episodes(material)
        self.used = np.empty(0, int) if self.valid is None else np.unique(self.valid[1].rows)

    @property
    def judged_stage(self) -> SpeciesStage:
        """The stage with the length of clips that it is judged by."""
        return self.config

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not drawn, and which species validation has."""
        return tuple(self.told)

    def validation(self, images_of: Callable[[Clips], ClipImages]) -> Any:
        """Make the clips of the validation episodes, which are the same for every epoch; None where there are none."""
        if self.valid is None:
            return None
        # Each clip goes through the network once, however many episodes have it.
        clips, images = self.valid[0].clips, images_of(self.valid[0].clips)
        seconds = self.judged_stage.seconds or self.material.data.plan.clips.seconds
        cut = images.clips.model_copy(update={"seconds": seconds})
        images = replace(images, clips=cut, numbered=True)
        return clip_batches(clips.table.take(self.used), images)

    def judged(self, outputs: Any, targets: Any, weight: Any) -> tuple[Any, Any]:
        """Take of a batch what the head compares; an episode has a loss, and a batch none."""
        return 0.0, outputs["compared"]

    def judge(self, batches: Any, judged: Callable[..., Any]) -> tuple[float, float]:
        """Compute the mean loss of the validation episodes, and the share of their queries that are named right.

        Raises
        ------
        DataError
            Not one episode can be read as a whole.
        """
        assert self.valid is not None
        there = np.full(len(self.valid[0].clips.table), -1)
        parts, n = [], 0
        for image, targets, weight, rows in batches:
            parts.append(judged(image, targets, weight)[1].numpy())
            there[self.used[rows.numpy()]] = np.arange(n, n + len(parts[-1]))
            n += len(parts[-1])
        size, index = self.valid[1].config, self.valid[1].config.class_index
        whole = [rows for rows in there[self.valid[1].rows] if (rows >= 0).all()]
        if not whole:
            raise DataError(f"stage {self.config.title!r}: not one validation episode can be read as a whole")
        compared, truth = np.concatenate(parts), np.eye(size.way, dtype=np.float32)[index[size.n_support :]]
        losses, right = [], []
        for rows in whole:
            support, queries = compared[rows[: size.n_support]], compared[rows[size.n_support :]]
            logits = self.answer(support, index[: size.n_support], queries)
            losses.append(float(self._loss(logits, truth)))
            right.append(float((logits.argmax(axis=1) == truth.argmax(axis=1)).mean()))
        return float(np.mean(losses)), float(np.mean(right))

    def _loss(self, logits: Any, truth: Any) -> Any:
        return averaged(per_clip(self.config.loss, logits, truth), None, "clips")

    def _validation_episodes(self, material: Material) -> tuple[SpeciesClips, Episodes] | None:
        found = species_clips(material.data, "valid", self.judged_stage)
        if found is None:
            return None
        size = self.config.validation or self.config.usual_validation
        if self.config.validation is None and 2 <= len(found.species) < size.way:
            size = size.model_copy(update={"way": len(found.species)})
        known = len({*found.species} & {*material.classes})
        known_text = f"{known} of which are trained on too" if known else "none of which is trained on"
        self.told.append(
            f"validation on {len(found.species)} species, {known_text}: {size.way}-way {size.shots}-shot, "
            f"{size.episodes} episodes"
        )
        return found, self._drawn(found.source, size)

    def _drawn(self, clips: EpisodeClips, size: EpisodeConfig) -> Episodes:
        """Draw episodes, and note what they leave out; raises `DataError` where they cannot be drawn."""
        try:
            drawn = draw_episodes(clips, size, self.material.seed, 0)
        except DataError as error:
            raise DataError("; ".join([f"stage {self.config.title!r}: {error}", *clips.notes])) from None
        self.told += [*drawn.left_out, *clips.notes]
        return drawn

    def set_classes_trainable(self, trainable: bool) -> None:
        """Train the layers of the head's classes, or not: without a slope they may not be given to an optimiser."""
        for layer in self.head.layers:
            if layer.name in self.head_config.class_layers:
                layer.trainable = trainable


class ClassicalLesson(JudgedByEpisodes):
    """Learns the training species from labels."""


class EpisodicLesson(JudgedByEpisodes):
    """Learns from episodes of the training species."""

    def __init__(
        self, network: ClipNetwork, stage: FitClipsStage, material: Material, train: Clips, weights: np.ndarray | None
    ) -> None:
        super().__init__(network, stage, material, train, weights)
        assert isinstance(stage, FitEpisodesStage)
        self.size = stage.episodes
        self.source = episode_source(train, material.data)
        self.rule = self.head_config.rule(network.head)
        self._drawn(self.source, self.size.model_copy(update={"episodes": 1}))
        self._set_trainable(classes=False)

    def batches(self, images: ClipImages, draws: EpochDraws) -> tuple[Any, int]:
        """Make the episodes of an epoch, and say how many clips they have."""
        size = self.size
        return _as_targets(episode_batches(self.source, images, draws, size), size), size.episodes * size.n_clips

    def loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the loss of an episode's queries."""
        import tensorflow as tf

        compared, size = outputs["compared"], self.size
        support = tf.reshape(compared[: size.n_support], [size.way, size.shots, *compared.shape[1:]])
        logits = self.rule(support, compared[size.n_support :], training=True)
        return self._loss(logits, targets[size.n_support :])

    def end(self) -> None:
        """Make the classes trainable again, and what acts in episodes alone not."""
        self._set_trainable(classes=True)

    def _set_trainable(self, classes: bool) -> None:
        """Train either the classes or what acts in episodes alone: the other one has no slope."""
        config = self.head_config
        self.set_classes_trainable(classes)
        if config.episode_layer is not None:
            self.head.get_layer(config.episode_layer).trainable = not classes


def set_classes(network: ClipNetwork, stage: SpeciesStage, material: Material, place: FitPlace) -> None:
    """Give the head the mean of each training species, over all of its clips; raises `DataError` for one without."""
    from ecotf.tasks.clips.fit_clips import stage_images

    data, report = material.data, SkippedRecordings()
    config = data.plan.clips.model_copy(update={"seconds": stage.seconds or data.plan.clips.seconds})
    clips = in_the_middle(data.training_clips(stage, material.classes), data.durations, config)
    images = replace(stage_images(stage, data, clips, report, place.threads), numbered=True)
    sums, counts, silent = mean_of_classes(network, clip_batches(clips.table, images), clips.table.targets)
    lines = [*report.lines(), *silent_lines([clips.recordings[clips.table.recording[row]] for row in silent])]
    for line in lines[:_TOLD]:
        place.log(f"{stage.title}: left out of the means: {line}")
    require_clips_of_all(material.classes, counts, f"stage {stage.title!r}")
    means = sums / counts.reshape(-1, *[1] * (sums.ndim - 1))
    head_config(network).set_classes(network.head, means.astype(np.float32))
    place.log(f"{stage.title}: the classes are the means of {int(counts.sum())} clips")


def mean_of_classes(
    network: ClipNetwork, batches: Any, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Add up what the head compares of each class, over its clips that are not silent.

    Returns
    -------
    float64 ``[classes, ...]``; how many clips each class has, ``[classes]``; the rows of silent clips.
    """
    compare = comparing(network)
    there = (targets > 0.5).astype(np.float64)
    sums, counts, silent = np.zeros(0), np.zeros(there.shape[1]), []
    for image, _, _, rows in batches:
        own, values = there[rows.numpy()], image.numpy()
        # Of silence every place of an image is the same, in each channel.
        quiet = np.ptp(values, axis=(1, 2)).max(axis=1) == 0
        silent += rows.numpy()[quiet].tolist()
        own[quiet] = 0
        added = np.tensordot(own.T, compare(image).astype(np.float64), 1)
        sums = added if not sums.size else sums + added
        counts += own.sum(axis=0)
    return sums, counts, silent


def _as_targets(batches: Any, size: EpisodeConfig) -> Any:
    """From episodes to batches as all lessons have them: ``(image, targets, weight)``."""
    import tensorflow as tf

    def made(image: Any, index: Any, label: Any) -> Any:
        return image, tf.one_hot(index, size.way), tf.ones(size.n_clips)

    return batches.map(made)
