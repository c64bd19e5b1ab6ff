"""Batches of clips for training and for scoring, made while the network works on the ones before (tf.data).

The way of a clip: decoded and cropped in background threads, filled up, augmented as sound, made a spectrogram by the
kernels, made an image, augmented as an image. What is random comes from the seed, the epoch and the clip's place in it,
so an epoch is the same again whoever makes it, and with however many threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ecotf.errors import RecordingError
from ecotf.features import MelSpectrogramConfig, build_spectrogram
from ecotf.features.image import ImageConfig, make_image
from ecotf.pipelines.augment_image import AugmentImageConfig, augment_clip_images
from ecotf.pipelines.augment_sound import AugmentSoundConfig, augment_clips
from ecotf.pipelines.clips import ClipsConfig, ClipTable
from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
from ecotf.pipelines.keras_cv_mixing import allow_in_graphs
from ecotf.pipelines.samplers import SamplerConfig, draw_order

_BACKGROUND_SHARE = 4  # one background is read for so many clips; each clip gets one of them, drawn
_TRIES = 5


def clip_batches(
    table: ClipTable,
    sounds: ClipSounds,
    front_end: MelSpectrogramConfig,
    image: ImageConfig,
    clips: ClipsConfig,
    *,
    batch: int,
    sound_augmentation: AugmentSoundConfig | None = None,
    image_augmentation: AugmentImageConfig | None = None,
    backgrounds: Sequence[ClipSounds] = (),
    sampler: SamplerConfig | None = None,
    seed: int = 0,
    epoch: int = 0,
    report: SkippedRecordings | None = None,
    threads: int = 2,
    drop_last: bool = False,
    numbered: bool = False,
) -> Any:
    """A tf.data set of one epoch: ``(image, targets, weight)``.

    Clips that cannot be read are left out and noted; the next ones move up, so that batches stay full.

    Parameters
    ----------
    table
        What to read; ``min_per_class`` has been seen to (`samplers.with_at_least`).
    sounds
        Its recordings.
    front_end, image
        From sound to image.
    clips
        How clips are cut.
    batch
        Clips in a batch.
    sound_augmentation, image_augmentation
        None changes nothing.
    backgrounds
        The recordings of each of ``sound_augmentation.backgrounds``.
    sampler
        None takes the clips in the table's order.
    seed, epoch
        Both together give the same epoch again.
    report
        Takes what could not be read.
    threads
        That decode, and that make spectrograms.
    drop_last
        Whether a last batch that is not full is left out.
    numbered
        Whether a fourth value says which row of ``table`` each clip is (clips may be missing).

    Returns
    -------
    tf.data.Dataset
        float32 ``[batch, frames, bands, channels]``, ``[batch, classes]`` and ``[batch]``; int64 ``[batch]``.
    """
    import tensorflow as tf

    sets = sound_augmentation.backgrounds if sound_augmentation is not None else ()
    if len(sets) != len(backgrounds):
        raise ValueError(f"{len(sets)} sets of backgrounds are configured and {len(backgrounds)} given")
    noted = report if report is not None else SkippedRecordings()
    order = np.arange(len(table)) if sampler is None else draw_order(table, sampler, seed, epoch)
    spectrogram = build_spectrogram(front_end, sounds.sample_rate)
    samples = round(clips.seconds * sounds.sample_rate)
    base = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0] >> 1)
    pool = -(-batch // _BACKGROUND_SHARE)

    def read(number: np.ndarray) -> tuple[np.ndarray, np.bool_]:
        row = order[number]
        recording = int(table.recording[row])
        rng = np.random.default_rng([seed, epoch, int(number)])
        try:
            sound = sounds.crop(recording, float(table.start_s[row]), clips, rng, bool(table.foreground[row]))
        except RecordingError as error:
            noted.add(sounds.paths[recording], str(error))
            return np.zeros(samples, np.float32), np.False_
        return sound, np.True_

    @tf.autograph.experimental.do_not_convert
    def read_in_graph(number: Any) -> Any:
        sound, readable = tf.numpy_function(read, [number], (tf.float32, tf.bool), stateful=True)
        sound.set_shape([samples])
        readable.set_shape([])
        return sound, readable, number

    def read_backgrounds(number: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng([seed, epoch, int(number), 1])
        read = [draw_background(own, clips, rng, noted) for own in backgrounds for _ in range(pool)]
        return np.stack(read).reshape(len(backgrounds), pool, samples)

    def make_images(sound: np.ndarray) -> np.ndarray:
        return make_image(spectrogram.batch(sound, threads), image)

    targets_of, weight_of = tf.constant(table.targets[order]), tf.constant(table.weight[order])
    shape = (None, spectrogram.n_frames(samples), spectrogram.n_rows, image.channels)

    # Nothing here is for AutoGraph to rewrite, and that would take most of the time until the first batch.
    @tf.autograph.experimental.do_not_convert
    def finish(number: Any, clip: Any) -> Any:
        sound, places = clip
        targets, weight = tf.gather(targets_of, places), tf.gather(weight_of, places)
        seed_here = tf.stack([tf.constant(base, tf.int32), tf.cast(number, tf.int32)])
        if sound_augmentation is not None:
            pools: Sequence[Any] = ()
            if backgrounds:
                read = tf.numpy_function(read_backgrounds, [number], tf.float32)
                pools = tf.unstack(tf.ensure_shape(read, [len(backgrounds), pool, samples]))
            sound, targets, weight = augment_clips(
                sound, targets, weight, sound_augmentation, seed_here, pools, sample_rate=sounds.sample_rate
            )
        made = tf.ensure_shape(tf.numpy_function(make_images, [sound], tf.float32), shape)
        if image_augmentation is not None:
            made, targets, weight = augment_clip_images(made, targets, weight, image_augmentation, seed_here)
        return (made, targets, weight, tf.gather(tf.constant(order), places)) if numbered else (made, targets, weight)

    if image_augmentation is not None:
        allow_in_graphs()
    return (
        tf.data.Dataset.range(len(order))
        .map(read_in_graph, num_parallel_calls=threads, deterministic=True)
        .filter(lambda sound, readable, number: readable)
        .map(lambda sound, readable, number: (sound, number))
        .batch(batch, drop_remainder=drop_last)
        .enumerate()
        .map(finish, num_parallel_calls=2, deterministic=True)
        .prefetch(2)
    )


def draw_background(
    sounds: ClipSounds, clips: ClipsConfig, rng: np.random.Generator, report: SkippedRecordings
) -> np.ndarray:
    """A crop of any of the recordings, as long as a clip; silence where none of some that are drawn can be read."""
    plain = ClipsConfig(seconds=clips.seconds, crop="random", pad="repeat")
    for recording in rng.integers(0, len(sounds), _TRIES):
        try:
            return sounds.crop(int(recording), np.nan, plain, rng)
        except RecordingError as error:
            report.add(sounds.paths[recording], str(error))
    return np.zeros(round(clips.seconds * sounds.sample_rate), np.float32)
