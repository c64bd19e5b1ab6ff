"""Fit a network on clips: one stage, epoch by epoch, with a checkpoint from which a killed training continues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ecotf.errors import DataError
from ecotf.models.image_network import ClipNetwork
from ecotf.pipelines.augment_image import AugmentImageConfig
from ecotf.pipelines.clips import Clips
from ecotf.pipelines.crops import SkippedRecordings
from ecotf.pipelines.image_batches import ClipImages, EpochDraws
from ecotf.pipelines.samplers import class_weights
from ecotf.tasks.clips.lessons import LabelLesson, mean_loss
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.epochs import Epoch, Limits, require_numbers, run_epochs
from ecotf.training.fit_state import FitState
from ecotf.training.pace import telling_pace
from ecotf.training.run_store import Log, ScoreWatch
from ecotf.training.stages import FitPlace
from ecotf.training.tensorboard import log_epoch, log_writer

if TYPE_CHECKING:
    from ecotf.tasks.clips.data import ClipData
    from ecotf.tasks.clips.recipe import ClipRecipe

_TOLD_RECORDINGS = 5
_MANY_TIMES = 20
SCORES = ["padded_cmap", "accuracy", "frame_ap", "onset_ap"]  # of clips, of episodes, of frames, of onsets
_ROW = ["stage", "epoch", "learning_rate", "loss", "valid_loss", *SCORES, "clips", "seconds"]
HISTORY = [*_ROW, "kept"]  # the epoch whose weights the stage has kept; none where it kept what it began with


def fit_clips(
    network: ClipNetwork,
    stage: FitClipsStage,
    material: Material,
    place: FitPlace,
    lesson: Callable[..., LabelLesson] = LabelLesson,
) -> pd.DataFrame:
    """Fit ``network`` in place.

    ``place.watch`` is a `ScoreWatch`: it looks at the lesson's score between epochs. ``lesson`` says what is learned.

    Returns
    -------
    One row an epoch, with the columns `HISTORY`.

    Raises
    ------
    DataError
        Not one clip can be read.
    ConfigError
        The loss is not a number any more.
    """
    fit = _begin(network, stage, material, place, lesson)
    state = FitState(fit.model, fit.optimizer, place.checkpoint, place.save_every_s)
    fit.history = state.history
    fit.remark()
    fit.judge_start(state)
    watch: ScoreWatch | None = place.watch
    writer = log_writer(place.tensorboard)

    def check(history: list[dict[str, Any]]) -> None:
        if watch is not None:
            watch.check_scores(stage.title, [row[fit.lesson.score_name] for row in history])

    def noted(row: dict[str, Any]) -> None:
        if writer is not None:
            log_epoch(writer, row["epoch"], row)

    limits = Limits(stage.epochs, stage.patience)
    history = run_epochs(stage.title, state, limits, fit.epoch, place.log, check, noted)
    for skipped, where in ((fit.skipped, ""), (fit.unjudged, " of validation")):
        for line in skipped.lines()[:_TOLD_RECORDINGS]:
            place.log(f"{stage.title}: left out{where}: {line}")
    fit.lesson.end()
    network.freeze(())
    network.mask(AugmentImageConfig())
    history = history.assign(kept=history["epoch"] == state.kept)
    return history.reindex(columns=HISTORY)


def _begin(
    network: ClipNetwork, stage: FitClipsStage, material: Material, place: FitPlace, lesson: Callable[..., LabelLesson]
) -> _Fit:
    """Everything that a fit needs, before its first epoch."""
    data = material.data
    train = data.training_clips(stage, material.classes)
    network.freeze(stage.frozen)
    image = network.mask(stage.image)
    weights = None if stage.class_weights is None else class_weights(train.table, stage.class_weights)
    taught = lesson(network, stage, material, train, weights)
    optimizer = build_optimizer(stage, data.plan.precision)
    optimizer.build(taught.model.trainable_variables)
    step, judge = _steps(taught, optimizer)
    fit = _Fit(taught, stage, image, material, place.threads, place.log, train, optimizer, step, judge)
    fit.valid_set = taught.validation(lambda clips: fit.images(clips, fit.unjudged))
    return fit


@dataclass
class _Fit:
    """A fit in progress: trains and evaluates one epoch after the other."""

    lesson: LabelLesson
    stage: FitClipsStage
    image: AugmentImageConfig
    material: Material
    threads: int
    log: Log
    train: Clips
    optimizer: Any
    step: Callable[..., Any]
    judge: Callable[..., Any]
    valid_set: Any = None
    history: list[dict[str, Any]] = field(default_factory=list)
    skipped: SkippedRecordings = field(default_factory=SkippedRecordings)
    unjudged: SkippedRecordings = field(default_factory=SkippedRecordings)

    @property
    def model(self) -> Any:
        """What is fitted."""
        return self.lesson.model

    def remark(self) -> None:
        """Say what the stage asks for in vain, and where it was made for far more clips than there are."""
        stage, wanted, log = self.stage, self.stage.sound.backgrounds, self.log
        for note in self.lesson.notes:
            log(f"{stage.title}: {note}")
        drawn, there = stage.sampler.clips or 0, len(self.train.table)
        if drawn > _MANY_TIMES * there:
            log(f"{stage.title}: an epoch draws {drawn:,} clips out of {there:,}; sampler.clips = N draws fewer")
        if any(one.probability for one in wanted) and not self.lesson.backgrounds(len(wanted)):
            log(f"{stage.title}: the manifest has no background, so none is mixed in")
        if stage.schedule.name == "plateau" and self.valid_set is None:
            log(f"{stage.title}: nothing to validate on, so the learning rate stays what it is")
        if stage.patience is not None and self.valid_set is None:
            log(f"{stage.title}: nothing to validate on, so patience = {stage.patience} does not stop it")

    def judge_start(self, state: FitState) -> None:
        """Let the weights that the stage begins with be the best so far, where the lesson may make them worse."""
        if not self.lesson.keeps_start or self.stage.keep != "best" or self.valid_set is None or state.epoch:
            return
        _, score = self.lesson.judge(self.valid_set, self.judge)
        if np.isfinite(score):
            state.best_loss = -score
            self.log(f"{self.stage.title}: begins with {self.lesson.score_title} {score:.3f}, and keeps nothing worse")

    def epoch(self, number: int) -> Epoch:
        """Train and judge one epoch, counted from 0."""
        stage, began = self.stage, perf_counter()
        losses = [] if self.valid_set is None else [row["valid_loss"] for row in self.history]
        rate = stage.schedule.rate(stage.learning_rate, number, stage.epochs, losses)
        self.optimizer.learning_rate.assign(rate)
        loss, n_clips = self._train(number)
        valid_loss, score, text = float("nan"), float("nan"), ""
        with self._judged_weights() as judged:
            if self.valid_set is not None:
                valid_loss, score = self.lesson.judge(self.valid_set, self.judge)
                text = f"  validation {valid_loss:.4f}  {self.lesson.score_title} {score:.3f}"
        measured = (loss,) if self.valid_set is None else (loss, valid_loss)
        require_numbers(f"stage {stage.title!r}", number, stage.learning_rate, *measured)
        scores = [score if name == self.lesson.score_name else float("nan") for name in SCORES]
        values = [stage.title, number + 1, rate, loss, valid_loss, *scores, n_clips, perf_counter() - began]
        # Without a validation, or with keep = last, the latest epoch is the one to keep.
        compared = -score if stage.keep == "best" and np.isfinite(score) else None
        return Epoch(dict(zip(_ROW, values, strict=True)), f"loss {loss:.4f}{text}", compared, judged)

    def _train(self, number: int) -> tuple[float, int]:
        """Train one epoch and return its mean loss and number of clips."""
        self.skipped = SkippedRecordings()
        images = self.images(self.train, self.skipped)
        batches, wanted = self.lesson.batches(images, self._draws(number))
        if number == 0:
            batches = telling_pace(batches, lambda batch: len(batch[0]), wanted, self.stage.title, self.log)
        losses = [(float(self.step(*batch)), len(batch[0])) for batch in batches]
        if not losses:
            lines = "; ".join(self.skipped.lines()[:1])
            raise DataError(f"stage {self.stage.title!r}: not one clip can be read; {lines}")
        return mean_loss(losses), sum(n for _, n in losses)

    @contextmanager
    def _judged_weights(self) -> Iterator[list[np.ndarray] | None]:
        """Give the model the running average of its weights, where the stage has one, and its own ones back."""
        if self.stage.ema is None:
            yield None
            return
        own = self.model.get_weights()
        _inner(self.optimizer).finalize_variable_values(self.model.trainable_variables)
        yield self.model.get_weights()
        self.model.set_weights(own)

    def images(self, clips: Clips, report: SkippedRecordings) -> ClipImages:
        """Make the images of these clips."""
        return self.lesson.images(clips, report, self.threads)

    def _draws(self, number: int) -> EpochDraws:
        """Draw the random choices of an epoch of training."""
        stage, sound = self.stage, self.stage.sound
        backgrounds = self.lesson.backgrounds(len(sound.backgrounds))
        if not backgrounds:
            sound = sound.model_copy(update={"backgrounds": ()})
        augmented = bool(sound.chances())
        changed = self.image.changes
        return EpochDraws(
            seed=self.material.seed,
            number=number,
            sampler=stage.sampler,
            sound=sound if augmented else None,
            image=self.image if changed else None,
            backgrounds=backgrounds if augmented else (),
        )


def stage_images(
    stage: FitClipsStage, data: ClipData[ClipRecipe], clips: Clips, report: SkippedRecordings, threads: int
) -> ClipImages:
    """Say how a stage makes images of clips."""
    plan, seconds = data.plan, stage.seconds
    config = plan.clips if seconds is None else plan.clips.model_copy(update={"seconds": seconds})
    return ClipImages(data.sounds(clips.recordings), plan.front_end, plan.level, config, stage.batch, report, threads)


def build_optimizer(stage: FitClipsStage, precision: str) -> Any:
    """Make the optimiser that the stage asks for; Adam with a weight decay is AdamW."""
    import keras

    options: dict[str, Any] = {"clipnorm": stage.clip_norm, "weight_decay": stage.weight_decay}
    if stage.ema is not None:
        options |= {"use_ema": True, "ema_momentum": stage.ema, "ema_overwrite_frequency": None}
    if stage.accumulation > 1:
        options["gradient_accumulation_steps"] = stage.accumulation
    if stage.optimiser == "adam":
        kind = keras.optimizers.Adam if stage.weight_decay is None else keras.optimizers.AdamW
        options |= {"amsgrad": stage.amsgrad, "epsilon": stage.epsilon}
    elif stage.optimiser == "rmsprop":
        kind = keras.optimizers.RMSprop
        options |= {"momentum": stage.momentum, "epsilon": stage.epsilon}
    else:
        kind = keras.optimizers.SGD
        options |= {"momentum": stage.momentum}
    optimizer = kind(stage.learning_rate, **options)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


def _inner(optimizer: Any) -> Any:
    """Return the optimizer without the one that scales losses for it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _steps(lesson: LabelLesson, optimizer: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compile the training step and the validation step."""
    import tensorflow as tf

    model = lesson.model
    scaled = _inner(optimizer) is not optimizer

    def train(images: Any, targets: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = lesson.loss(model(images, training=True), targets, weight)
            # sums of what layers add by themselves, as weight regularisers do
            total = tf.add_n([loss, *model.losses]) if model.losses else loss
            scaled_total = optimizer.scale_loss(total) if scaled else total
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(scaled_total, variables), variables)
        return loss

    def judge(images: Any, targets: Any, weight: Any) -> tuple[Any, Any]:
        return lesson.judged(model(images, training=False), targets, weight)

    bands = tf.TensorSpec([None, None, *model.input_shape[2:]], tf.float32)
    if model.input_shape[1] is not None:
        bands = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
    signature = [bands, tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None], tf.float32)]
    # Nothing here is for AutoGraph to rewrite, and that would take seconds.
    return (
        tf.function(train, input_signature=signature, autograph=False),
        tf.function(judge, input_signature=signature, autograph=False),
    )
