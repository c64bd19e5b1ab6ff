"""Batches of episodes for few-shot training and evaluation: one batch is one episode (tf.data).

The way of a clip is that of `image_batches`. What is random comes from the seed, the epoch and the clip's place in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ecotf.errors import ConfigError, RecordingError
from ecotf.pipelines.augment_image import AugmentImageConfig
from ecotf.pipelines.augment_sound import AugmentSoundConfig
from ecotf.pipelines.episodes import EpisodeClips, EpisodeConfig, Episodes, draw_episodes
from ecotf.pipelines.image_batches import BatchFinish, ClipImages, EpochDraws

_MIXES = ("sum_mixup", "beta_mixup", "between_class"), ("mixup", "cutmix")


def episode_batches(clips: EpisodeClips, images: ClipImages, draws: EpochDraws | None, config: EpisodeConfig) -> Any:
    """Make a tf.data set of the episodes of one epoch: ``(image, class index, label)``.

    Every batch has the same shape. The order of the clips is that of `Episodes.rows`: the support of each class, then
    the queries of each class. A clip that cannot be read is replaced by another one of its class and side; where there
    is none, the episode is left out. Both are noted in ``images.report``.

    Parameters
    ----------
    clips
        To draw from (`episode_clips`).
    images
        How clips become images; its ``batch`` and ``drop_last`` do not count.
    draws
        The seed and the number of the epoch, and the augmentation of support and queries; its ``sampler`` does not
        count. None is seed 0, epoch 0, without augmentation.
    config
        The size of the episodes.

    Returns
    -------
    tf.data.Dataset
        float32 ``[n_clips, frames, bands, channels]``; int64 ``[n_clips]``, the class within the episode, 0 to
        ``way - 1``; int64 ``[n_clips]``, the class as a column of ``clips.table.targets``. With ``images.numbered``,
        int64 ``[n_clips]``, rows of ``clips.table``.

    Raises
    ------
    ConfigError
        The augmentation mixes clips, or clips are decoded in the graph.
    DataError
        Too few classes have enough clips.

    Examples
    --------
    >>> epoch = EpochDraws(seed=1979, number=3, sound=AugmentSoundConfig())  # doctest: +SKIP
    >>> for image, index, label in episode_batches(clips, images, epoch, config):  # doctest: +SKIP
    ...     support, queries = image[: config.n_support], image[config.n_support :]
    """
    import tensorflow as tf

    draws = draws or EpochDraws()
    refuse_mixing(draws.sound, draws.image)
    if images.clips.source.decode != "soundfile":
        raise ConfigError("episodes are decoded by soundfile; set clips.source.decode=soundfile")
    drawn = draw_episodes(clips, config, draws.seed, draws.number)
    numbered, images = images.numbered, replace(images, batch=config.n_clips, numbered=False)
    reader = _EpisodeReader(clips, images, drawn, (draws.seed, draws.number))
    finish = BatchFinish(clips.table, np.arange(len(clips.table)), images, draws).in_graph()
    index, labels = tf.constant(config.class_index, tf.int64), tf.constant(drawn.classes, tf.int64)
    samples = round(images.clips.seconds * images.sounds.sample_rate)

    # Nothing here is for AutoGraph to rewrite, and that would take most of the time until the first batch.
    @tf.autograph.experimental.do_not_convert
    def read(number: Any) -> Any:
        sound, rows, whole = tf.numpy_function(reader.read, [number], (tf.float32, tf.int64, tf.bool), stateful=True)
        sound.set_shape([config.n_clips, samples])
        rows.set_shape([config.n_clips])
        whole.set_shape([])
        return number, sound, rows, whole

    @tf.autograph.experimental.do_not_convert
    def made(number: Any, sound: Any, rows: Any, whole: Any) -> Any:
        image = finish(number, (sound, rows))[0]
        image = tf.ensure_shape(image, [config.n_clips, *image.shape[1:]])
        episode = image, index, tf.gather(tf.gather(labels, number), index)
        return (*episode, rows) if numbered else episode

    return (
        tf.data.Dataset.range(len(drawn))
        .map(read, num_parallel_calls=images.threads, deterministic=True)
        .filter(lambda number, sound, rows, whole: whole)
        .map(made, num_parallel_calls=2, deterministic=True)
        .prefetch(2)
    )


def refuse_mixing(sound: AugmentSoundConfig | None, image: AugmentImageConfig | None) -> None:
    """Refuse augmentation that mixes clips with each other: support and queries would hold each other's sound.

    Raises
    ------
    ConfigError
        Names the setting.
    """
    for kind, config, names in zip(("sound", "image"), (sound, image), _MIXES, strict=True):
        for name in names:
            if config is not None and getattr(config, name).probability > 0:
                raise ConfigError(
                    f"{kind}.{name} mixes the clips of an episode with each other, so queries would hold the support; "
                    f"set {kind}.{name}.probability=0"
                )


@dataclass(frozen=True, eq=False)
class _EpisodeReader:
    """Reads the sound of whole episodes, with others in place of clips that cannot be read."""

    clips: EpisodeClips
    images: ClipImages
    drawn: Episodes
    seed: tuple[int, int]

    def read(self, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.bool_]:
        """Sound ``[n_clips, samples]``, the rows that were read, and whether all of the episode could be read."""
        episode = int(number)
        rows = self.drawn.rows[episode].copy()
        sound = np.zeros((len(rows), round(self.images.clips.seconds * self.images.sounds.sample_rate)), np.float32)
        for place in range(len(rows)):
            read = self._clip(int(rows[place]), (episode, place, 0))
            if read is None:
                read = self._another(episode, place, rows)
            if read is None:
                name = self.clips.classes[self.drawn.labels(episode)[place]]
                self.images.report.add_episode(f"too few clips of {name} can be read")
                return sound, rows, np.False_
            sound[place] = read
        return sound, rows, np.True_

    def _another(self, episode: int, place: int, rows: np.ndarray) -> np.ndarray | None:
        """A clip in place of one that cannot be read; ``rows`` then says which."""
        config, index = self.drawn.config, self.drawn.config.class_index
        own = np.flatnonzero(index == index[place])
        is_support = own < config.n_support
        others = own[is_support != (place < config.n_support)]
        free = np.setdiff1d(self.clips.rows_of(int(self.drawn.classes[episode, index[place]])), rows[own])
        free = free[~np.isin(self.clips.group[free], self.clips.group[rows[others]])]
        order = np.random.default_rng([*self.seed, episode, place]).permutation(free)
        for tried, row in enumerate(order.tolist(), 1):
            read = self._clip(row, (episode, place, tried))
            if read is not None:
                rows[place] = row
                return read
        return None

    def _clip(self, row: int, draw: tuple[int, int, int]) -> np.ndarray | None:
        table, images = self.clips.table, self.images
        recording = int(table.recording[row])
        rng = np.random.default_rng([*self.seed, *draw])
        try:
            return images.sounds.crop(
                recording, float(table.start_s[row]), images.clips, rng, bool(table.foreground[row])
            )
        except RecordingError as error:
            images.report.add(images.sounds.paths[recording], str(error))
            return None
