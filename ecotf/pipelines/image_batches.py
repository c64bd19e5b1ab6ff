"""Batches of clips for training and for scoring, made while the network works on the ones before (tf.data).

The way of a clip: decoded and cropped in background threads, filled up, augmented as sound, made a spectrogram by the
kernels, made an image, augmented as an image. What is random comes from the seed, the epoch and the clip's place in it,
so an epoch is the same again whoever makes it, and with however many threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecotf.features import MelSpectrogram, MelSpectrogramConfig
from ecotf.features.image import ImageConfig, clip_images, image_shape
from ecotf.pipelines.augment_image import AugmentImageConfig, augment_clip_images
from ecotf.pipelines.augment_sound import AugmentSoundConfig, augment_clips
from ecotf.pipelines.augmentation.band_edges import moved
from ecotf.pipelines.clips import ClipsConfig, ClipTable
from ecotf.pipelines.crop_reading import CropReader, reader_of
from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
from ecotf.pipelines.keras_cv_mixing import allow_in_graphs
from ecotf.pipelines.quiet_sounds import Backgrounds
from ecotf.pipelines.samplers import SamplerConfig, draw_order

_BACKGROUND_SHARE = 4  # one background is read for so many clips; each clip gets one of them, drawn


@dataclass(frozen=True)
class ClipImages:
    """How clips of some recordings become images, in batches.

    Attributes
    ----------
    sounds
        The recordings.
    front_end, image
        From sound to image.
    clips
        How clips are cut.
    batch
        Clips in a batch.
    report
        Takes what could not be read.
    threads
        That decode, and that make spectrograms.
    drop_last
        Whether a last batch that is not full is left out.
    numbered
        Whether a fourth value says which row of the table each clip is (clips may be missing).
    truth
        Gives targets of clips, float32 ``[n, width]`` of recordings and starts ``[n]``, in place of the table's: those
        of frames are made when their batch is, since those of an epoch would fill the memory.
    """

    sounds: ClipSounds
    front_end: MelSpectrogramConfig
    image: ImageConfig
    clips: ClipsConfig
    batch: int
    report: SkippedRecordings = field(default_factory=SkippedRecordings)
    threads: int = 2
    drop_last: bool = False
    numbered: bool = False
    truth: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class EpochDraws:
    """The random choices of one epoch; none by default.

    Attributes
    ----------
    seed, number
        Both together give the same epoch again.
    sampler
        None takes the clips in the table's order.
    sound, image
        Augmentation; None changes nothing.
    backgrounds
        The recordings of each of ``sound.backgrounds``.
    planted
        Changes sound and targets of a batch before all augmentation: of the rows of the table ``[n]``, float32
        ``[n, samples]`` and ``[n, width]``.
    """

    seed: int = 0
    number: int = 0
    sampler: SamplerConfig | None = None
    sound: AugmentSoundConfig | None = None
    image: AugmentImageConfig | None = None
    backgrounds: Sequence[Backgrounds] = ()
    planted: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None

    def __post_init__(self) -> None:
        sets = self.sound.backgrounds if self.sound is not None else ()
        if len(sets) != len(self.backgrounds):
            raise ValueError(f"{len(sets)} sets of backgrounds are configured and {len(self.backgrounds)} given")

    def order(self, table: ClipTable, batch: int) -> np.ndarray:
        """Rows of the table in the order in which they come, in batches of ``batch``."""
        if self.sampler is None:
            return np.arange(len(table))
        return draw_order(table, self.sampler, self.seed, self.number, batch)


def clip_batches(table: ClipTable, images: ClipImages, draws: EpochDraws | None = None) -> Any:
    """Make a tf.data set of one epoch: ``(image, targets, weight)``.

    Clips that cannot be read are left out and noted; the next ones move up, so that batches stay full.

    Parameters
    ----------
    table
        What to read; ``min_per_class`` has been seen to (`samplers.with_at_least`).
    draws
        None takes the table as it is, and nothing is random.

    Returns
    -------
    tf.data.Dataset
        float32 ``[batch, frames, bands, channels]``, ``[batch, classes]`` and ``[batch]``; int64 ``[batch]``.

    Raises
    ------
    ConfigError
        A recording cannot be decoded as ``clips.source`` asks for.
    """
    import tensorflow as tf

    draws = draws or EpochDraws()
    order = draws.order(table, images.batch)
    finish = BatchFinish(table, order, images, draws)
    reader = reader_of(CropReader(table, order, images.sounds, images.clips, images.report, (draws.seed, draws.number)))
    if draws.image is not None:
        allow_in_graphs()
    return (
        reader.read(tf.data.Dataset.range(len(order)), images.threads)
        .filter(lambda sound, readable, number: readable)
        .map(lambda sound, readable, number: (sound, number))
        .batch(images.batch, drop_remainder=images.drop_last)
        .enumerate()
        .map(finish.in_graph(), num_parallel_calls=2, deterministic=True)
        .prefetch(2)
    )


class BatchFinish:
    """From a batch of sound to augmented images with their targets and weights."""

    def __init__(self, table: ClipTable, order: np.ndarray, images: ClipImages, draws: EpochDraws) -> None:
        import tensorflow as tf

        self.images, self.draws, self.order, self.table = images, draws, order, table
        self.targets, self.weight = tf.constant(table.targets[order]), tf.constant(table.weight[order])
        self.spectrogram = MelSpectrogram(images.front_end, images.sounds.sample_rate)
        self.samples = round(images.clips.seconds * images.sounds.sample_rate)
        self.pool = -(-images.batch // _BACKGROUND_SHARE)
        self.base = int(np.random.SeedSequence([draws.seed, draws.number]).generate_state(1)[0] >> 1)

    def in_graph(self) -> Any:
        """The function for ``map``. Nothing in it is for AutoGraph to rewrite, which would take most of the time."""
        import tensorflow as tf

        @tf.autograph.experimental.do_not_convert
        def finish(number: Any, clip: Any) -> Any:
            sound, places = clip
            seed = tf.stack([tf.constant(self.base, tf.int32), tf.cast(number, tf.int32)])
            made = *self._planted(places, sound, self._targets(places)), tf.gather(self.weight, places)
            made = self._augment_sound(number, made, seed, places)
            made = (self._make_images(number, made[0]), *made[1:])
            if self.draws.image is not None:
                made = augment_clip_images(*made, self.draws.image, seed)
            return (*made, tf.gather(tf.constant(self.order), places)) if self.images.numbered else made

        return finish

    def _targets(self, places: Any) -> Any:
        """The targets of the clips at these places of the epoch."""
        import tensorflow as tf

        truth = self.images.truth
        if truth is None:
            return tf.gather(self.targets, places)
        table = self.table

        def made(places: np.ndarray) -> np.ndarray:
            rows = self.order[places]
            return truth(table.recording[rows], table.start_s[rows])

        width = truth(table.recording[:0], table.start_s[:0]).shape[1]
        return tf.ensure_shape(tf.numpy_function(made, [places], tf.float32), (None, width))

    def _planted(self, places: Any, sound: Any, targets: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        plant = self.draws.planted
        if plant is None:
            return sound, targets
        made = tf.numpy_function(
            lambda at, *batch: plant(self.order[at], *batch), [places, sound, targets], [tf.float32, tf.float32]
        )
        return tf.ensure_shape(made[0], sound.shape), tf.ensure_shape(made[1], targets.shape)

    def _augment_sound(self, number: Any, made: tuple[Any, Any, Any], seed: Any, places: Any) -> tuple[Any, Any, Any]:
        import tensorflow as tf

        draws = self.draws
        if draws.sound is None:
            return made
        pools: Sequence[Any] = ()
        apart: Sequence[Any] = ()
        if draws.backgrounds:
            sets = len(draws.backgrounds)
            read, theirs = tf.numpy_function(self._backgrounds, [number], (tf.float32, tf.int64))
            pools = tf.unstack(tf.ensure_shape(read, [sets, self.pool, self.samples]))
            own = tf.gather(tf.constant(self.table.recording[self.order], tf.int64), places)
            # a clip with a stretch of its own recording is that recording still, only louder
            apart = tf.unstack(tf.ensure_shape(theirs, [sets, self.pool])[:, None] != own[None, :, None], sets)
        return augment_clips(*made, draws.sound, seed, pools, sample_rate=self.images.sounds.sample_rate, apart=apart)

    def _backgrounds(self, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Crops to mix in, ``[sets, pool, samples]``, and the training recording of each, int64 ``[sets, pool]``."""
        draws, images = self.draws, self.images
        rng = np.random.default_rng([draws.seed, draws.number, int(number), 1])
        plain = ClipsConfig(seconds=images.clips.seconds, crop="random", pad="repeat")
        read = [own.any_crop(plain, rng, images.report) for own in draws.backgrounds for _ in range(self.pool)]
        shape = len(draws.backgrounds), self.pool
        sounds = np.stack([sound for sound, _ in read]).reshape(*shape, self.samples)
        return sounds, np.array([recording for _, recording in read], np.int64).reshape(shape)

    def _make_images(self, number: Any, sound: Any) -> Any:
        import tensorflow as tf

        draws, spectrogram = self.draws, self.spectrogram

        def make(number: np.ndarray, sound: np.ndarray) -> np.ndarray:
            made = spectrogram
            if draws.image is not None and draws.image.band_edges.moves:
                rng = np.random.default_rng([draws.seed, draws.number, int(number), 2])
                made = moved(spectrogram, draws.image.band_edges, rng)
            return clip_images(sound, made, self.images.image, self.images.threads)

        shape = (None, *image_shape(spectrogram, self.images.image, self.samples))
        return tf.ensure_shape(tf.numpy_function(make, [number, sound], tf.float32), shape)
