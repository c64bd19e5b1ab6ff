"""Fit a network on clips: one stage, epoch by epoch, with a checkpoint from which a killed training goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import ConfigError, DataError
from ecotf.evaluation.segment_metrics import counted_labels, padded_cmap
from ecotf.models.image_network import ClipNetwork
from ecotf.pipelines.clips import Clips
from ecotf.pipelines.crops import SkippedRecordings
from ecotf.pipelines.image_batches import clip_batches
from ecotf.pipelines.samplers import class_weights
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.stages import FitClipsStage
from ecotf.training.fit_state import FitState
from ecotf.training.losses import clip_loss
from ecotf.training.run_store import Log, ScoreWatch

if TYPE_CHECKING:
    import pandas as pd

_SAVE_EVERY_S = 15.0
_TOLD_RECORDINGS = 5
HISTORY = ["stage", "epoch", "learning_rate", "loss", "valid_loss", "padded_cmap", "clips", "seconds"]


def fit_clips(
    network: ClipNetwork,
    stage: FitClipsStage,
    data: ClipData,
    classes: tuple[str, ...],
    seed: int,
    checkpoint: Path,
    log: Log,
    threads: int = 2,
    logs: Path | None = None,
    watch: ScoreWatch | None = None,
) -> pd.DataFrame:
    """Fit ``network`` in place.

    Parameters
    ----------
    classes
        Of its outputs.
    seed
        Of the stage.
    checkpoint
        Written now and then, read when it is there: the same seed gives the same weights with or without a kill.
    logs
        Folder for TensorBoard.
    watch
        Looks at the padded cmAP between epochs.

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

    import pandas as pd

    train, valid = data.training_clips(stage, classes), data.validation_clips(stage, classes)
    network.freeze(stage.frozen)
    model = network.model
    optimizer = build_optimizer(stage, data.plan.precision)
    optimizer.build(model.trainable_variables)
    weights = None if stage.class_weights is None else class_weights(train.table, stage.class_weights)
    step, judge = _steps(model, optimizer, stage, weights)
    state = FitState(model, optimizer, checkpoint, _SAVE_EVERY_S)
    if state.epoch:
        log(f"{stage.title}: goes on after epoch {state.epoch}/{stage.epochs}")
    writer = _log_writer(logs)
    skipped, unjudged = SkippedRecordings(), SkippedRecordings()
    valid_set = None if valid is None else _batches(data, valid, stage, threads, unjudged)
    wanted = stage.sound.backgrounds
    if any(one.probability for one in wanted) and not data.backgrounds(len(wanted)):
        log(f"{stage.title}: no recording of the manifest is background, so none is mixed in")
    if stage.patience is not None and valid is None:
        log(f"{stage.title}: nothing to validate on, so patience = {stage.patience} does not stop it")
    while state.epoch < stage.epochs and (stage.patience is None or state.waited < stage.patience):
        if watch is not None and state.history:
            watch.check_scores(stage.title, [row["padded_cmap"] for row in state.history])
        began = perf_counter()
        rate = stage.schedule.rate(stage.learning_rate, state.epoch, stage.epochs)
        optimizer.learning_rate.assign(rate)
        skipped = SkippedRecordings()
        batches = _batches(data, train, stage, threads, skipped, seed=seed, epoch=state.epoch)
        losses = [(float(step(*batch)), len(batch[0])) for batch in batches]
        if not losses:
            raise DataError(f"stage {stage.title!r}: not one clip can be read; {'; '.join(skipped.lines()[:1])}")
        loss = float(np.average([x for x, _ in losses], weights=[n for _, n in losses]))
        own = model.get_weights() if stage.ema is not None else None
        if own is not None:
            _inner(optimizer).finalize_variable_values(model.trainable_variables)
        valid_loss, score = (np.nan, np.nan) if valid_set is None else _judge(judge, valid_set, stage)
        kept = model.get_weights() if own is not None else None
        if own is not None:
            model.set_weights(own)
        if not np.isfinite(loss) or (valid_set is not None and not np.isfinite(valid_loss)):
            raise ConfigError(
                f"stage {stage.title!r}: after epoch {state.epoch + 1} the loss is not a number; use a smaller "
                f"learning_rate than {stage.learning_rate:g}"
            )
        number = state.epoch + 1
        by_score = stage.keep == "best" and np.isfinite(score)
        values = [stage.title, number, rate, loss, valid_loss, score, sum(n for _, n in losses), perf_counter() - began]
        row = dict(zip(HISTORY, values, strict=True))
        # Without a validation, or with keep = last, each epoch counts as better than the one before.
        better = state.note(row, -score if by_score else -float(number), 0.0, kept)
        log(
            f"{stage.title}: epoch {number}/{stage.epochs}  loss {loss:.4f}"
            + ("" if valid_set is None else f"  validation {valid_loss:.4f}  padded cmAP {score:.3f}")
            + ("  best so far" if better and by_score else "")
        )
        if writer is not None:
            _log(writer, number, row)
    for line in skipped.lines()[:_TOLD_RECORDINGS]:
        log(f"{stage.title}: left out: {line}")
    for line in unjudged.lines()[:_TOLD_RECORDINGS]:
        log(f"{stage.title}: left out of validation: {line}")
    state.restore_best()
    network.freeze(())
    return pd.DataFrame(state.history, columns=HISTORY)


def build_optimizer(stage: FitClipsStage, precision: str) -> Any:
    """Adam, or AdamW, as the stage asks for it."""
    import keras

    options: dict[str, Any] = {"clipnorm": stage.clip_norm}
    if stage.ema is not None:
        options |= {"use_ema": True, "ema_momentum": stage.ema, "ema_overwrite_frequency": None}
    if stage.accumulation > 1:
        options["gradient_accumulation_steps"] = stage.accumulation
    if stage.weight_decay is None:
        optimizer = keras.optimizers.Adam(stage.learning_rate, **options)
    else:
        optimizer = keras.optimizers.AdamW(stage.learning_rate, weight_decay=stage.weight_decay, **options)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _steps(
    model: Any, optimizer: Any, stage: FitClipsStage, weights: np.ndarray | None
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A compiled training step and a compiled look at validation clips."""
    import tensorflow as tf

    scaled = _inner(optimizer) is not optimizer

    def train(images: Any, targets: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = clip_loss(stage.loss, model(images, training=True), targets, weights, weight)
            # sums of what layers add by themselves, as weight regularisers do
            total = tf.add_n([loss, *model.losses]) if model.losses else loss
            scaled_total = optimizer.scale_loss(total) if scaled else total
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(scaled_total, variables), variables)
        return loss

    def judge(images: Any, targets: Any, weight: Any) -> tuple[Any, Any]:
        logits = model(images, training=False)
        return clip_loss(stage.loss, logits, targets, weights, weight), logits["clip"]

    bands = tf.TensorSpec([None, None, *model.input_shape[2:]], tf.float32)
    if model.input_shape[1] is not None:
        bands = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
    signature = [bands, tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None], tf.float32)]
    # Nothing here is for AutoGraph to rewrite, and that would take seconds.
    return (
        tf.function(train, input_signature=signature, autograph=False),
        tf.function(judge, input_signature=signature, autograph=False),
    )


def _judge(judge: Callable[..., Any], batches: Any, stage: FitClipsStage) -> tuple[float, float]:
    from scipy.special import expit, softmax

    losses, scores, truth = [], [], []
    for images, targets, weight in batches:
        loss, logits = judge(images, targets, weight)
        losses.append((float(loss), len(targets)))
        scores.append(logits.numpy())
        truth.append(targets.numpy())
    if not losses:
        raise DataError(f"stage {stage.title!r}: not one validation clip can be read")
    logits = np.concatenate(scores).astype(np.float64)
    if not np.isfinite(logits).all():
        return float("nan"), float("nan")
    probabilities = softmax(logits, axis=1) if stage.activation == "softmax" else expit(logits)
    loss = float(np.average([x for x, _ in losses], weights=[n for _, n in losses]))
    return loss, padded_cmap(counted_labels(np.concatenate(truth)), probabilities)


def _batches(
    data: ClipData,
    clips: Clips,
    stage: FitClipsStage,
    threads: int,
    report: SkippedRecordings,
    seed: int | None = None,
    epoch: int = 0,
) -> Any:
    """Batches to learn from, or, without a seed, to be judged by: in order and as they are."""
    plan = data.plan
    config = plan.clips if stage.seconds is None else plan.clips.model_copy(update={"seconds": stage.seconds})
    options: dict[str, Any] = {}
    if seed is not None:
        options = {"sampler": stage.sampler, "seed": seed, "epoch": epoch}
        if any(getattr(stage.image, name).probability for name in type(stage.image).model_fields):
            options["image_augmentation"] = stage.image
        sound = stage.sound
        backgrounds = data.backgrounds(len(sound.backgrounds))
        if not backgrounds:
            sound = sound.model_copy(update={"backgrounds": ()})
        if sound.chances():
            options |= {"sound_augmentation": sound, "backgrounds": backgrounds}
    sounds = data.sounds(clips.recordings)
    return clip_batches(
        clips.table, sounds, plan.front_end, plan.level, config,
        batch=stage.batch, report=report, threads=threads, **options,
    )  # fmt: skip


def _log_writer(logs: Path | None) -> Any:
    if logs is None:
        return None
    import tensorflow as tf

    return tf.summary.create_file_writer(str(logs))


def _log(writer: Any, number: int, row: dict[str, Any]) -> None:
    import tensorflow as tf

    with writer.as_default(step=number):
        for name in ("learning_rate", "loss", "valid_loss", "padded_cmap"):
            tf.summary.scalar(name, row[name])
    writer.flush()
