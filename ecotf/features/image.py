"""From the levels of a clip to the image that a network sees; `image_layer` has the same for the graph."""

from __future__ import annotations

from math import factorial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.features.picture import SeparationConfig, resized_image, resized_shape, separated_parts
from ecotf.features.spectrogram import Spectrogram
from ecotf.features.threads import in_threads


class ImageConfig(Config):
    """How decibels become an image; the defaults map the 80 dB below full scale to 0..1.

    Attributes
    ----------
    top_db
        Levels further than this below the clip's greatest are raised to there; null leaves them.
    offset, scale
        image = (level + offset) / scale. Published for birds: 80 and 80, or 0 and 255.
    channels
        1: the level. 3: the level, its delta, and its delta-delta.
    delta_axis
        Whether deltas give the change from frame to frame (``time``) or from band to band (``bands``, as published
        in 2023 and 2024, where the axes were exchanged).
    delta_width
        Odd number of frames or bands that a delta is fitted to.
    delta_form
        ``regression``, as published (torchaudio): ends repeat before the fit, delta-delta is the delta of the delta.
        ``polynomial``, as `ecotf.features.delta` and librosa: the first and last frames share the nearest whole fit,
        delta-delta is fitted with a parabola; it needs ``delta_width`` frames.
    separation
        Three channels of harmonic, percussive and delta parts instead, each scaled to 0..1; ``offset``, ``scale``,
        ``delta_axis`` and ``delta_form`` do not count then. No export: a device computes no medians.
    resize
        Pixels of the shorter side, bilinear; by default one for each frame and band. Published for Darksound: 256.
    crop
        Pixels of the square that is cut out of the middle; published 224. Of three seconds that is the second in the
        middle.
    normalise
        ``imagenet``: with the mean and the deviation of ImageNet's photographs, which published weights expect.
    """

    top_db: float | None = Field(80.0, gt=0)
    offset: float = 80.0
    scale: float = Field(80.0, gt=0)
    channels: Literal[1, 3] = 1
    delta_axis: Literal["time", "bands"] = "time"
    delta_width: int = Field(5, ge=3, le=51)
    delta_form: Literal["regression", "polynomial"] = "regression"
    separation: SeparationConfig | None = None
    resize: int | None = Field(None, ge=32, le=2048)
    crop: int | None = Field(None, ge=32, le=2048)
    normalise: Literal["none", "imagenet"] = "none"

    @property
    def only_on_host(self) -> str:
        """The settings that cannot be computed in a graph or on a device; empty where all can."""
        used = {"separation": self.separation, "resize": self.resize, "crop": self.crop}
        names = [name for name, value in used.items() if value is not None]
        return ", ".join(f"level.{name}" for name in [*names, *(["normalise"] if self.normalise != "none" else [])])

    @model_validator(mode="after")
    def _width_is_odd(self) -> ImageConfig:
        if self.delta_width % 2 == 0:
            raise ValueError(f"delta_width = {self.delta_width}: allowed are odd numbers, so that it has a middle")
        if self.separation is not None and self.channels != 3:
            raise ValueError(f"channels = {self.channels}: separation makes 3; set channels to 3")
        if self.crop is not None and self.resize is not None and self.crop > self.resize:
            raise ValueError(f"crop = {self.crop}: allowed is at most resize = {self.resize}")
        return self


def delta_weights(width: int, order: int) -> NDArray[np.float32]:
    """Weights of ``width`` neighbours that give the derivative of a fitted polynomial of degree ``order``."""
    offsets = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(offsets, order + 1, increasing=True))
    return np.asarray(factorial(order) * fit[order], np.float32)


def make_image(levels: NDArray[Any], config: ImageConfig, threads: int = 1) -> NDArray[np.float32]:
    """Make the images of clips.

    Parameters
    ----------
    levels
        Decibels, [..., frames, bands].
    threads
        That separate and resize.

    Returns
    -------
    float32 [..., frames, bands, channels]
        Of other size where the config resizes or crops.

    Raises
    ------
    ValueError
        There is no frame or no band; a ``polynomial`` delta has fewer than ``delta_width`` of them.
    """
    levels = np.asarray(levels, np.float32)
    if levels.ndim < 2 or 0 in levels.shape[-2:]:
        raise ValueError(f"levels of shape {levels.shape}: expected [..., frames, bands], at least one of each")
    if not config.only_on_host:
        return _levels_and_deltas(levels, config)
    clips = levels.reshape(-1, *levels.shape[-2:])
    size = resized_shape(levels.shape[-2], levels.shape[-1], config.resize, config.crop)
    made = np.empty((len(clips), *size, config.channels), np.float32)

    def make(clip: int) -> None:
        if config.separation is not None:
            image = separated_parts(clips[clip], config.separation, config.top_db, config.delta_width)
        else:
            image = _levels_and_deltas(clips[clip], config)
        made[clip] = resized_image(image, config.resize, config.crop, config.normalise == "imagenet")

    in_threads(make, len(clips), threads)
    return made.reshape(*levels.shape[:-2], *made.shape[1:])


def _levels_and_deltas(levels: NDArray[np.float32], config: ImageConfig) -> NDArray[np.float32]:
    if config.top_db is not None:
        levels = np.maximum(levels, levels.max(axis=(-2, -1), keepdims=True) - np.float32(config.top_db))
    image = (levels + np.float32(config.offset)) / np.float32(config.scale)
    if config.channels == 1:
        return image[..., None]
    axis = -2 if config.delta_axis == "time" else -1
    if config.delta_form == "polynomial":
        deltas = [_delta(image, axis, config, order) for order in (1, 2)]
    else:
        deltas = [_delta(image, axis, config, 1)]
        deltas.append(_delta(deltas[0], axis, config, 1))
    return np.stack([image, *deltas], axis=-1)


def clip_images(
    sounds: NDArray[Any], spectrogram: Spectrogram, level: ImageConfig, threads: int
) -> NDArray[np.float32]:
    """Make what a network takes of clips ``[n, samples]``: float32 ``[n, frames, bands, channels]``.

    Of a front end that is part of the network it is the sound, ``[n, samples, 1, 1]``.
    """
    sounds = np.ascontiguousarray(sounds, np.float32)
    if spectrogram.config.in_graph:
        return sounds[..., None, None]
    return make_image(spectrogram.batch(sounds, threads), level, threads)


def image_shape(spectrogram: Spectrogram, level: ImageConfig, n_samples: int) -> tuple[int, int, int]:
    """Return the shape of what `clip_images` makes of a clip of ``n_samples``."""
    if spectrogram.config.in_graph:
        return n_samples, 1, 1
    frames, bands = resized_shape(spectrogram.n_frames(n_samples), spectrogram.n_rows, level.resize, level.crop)
    return frames, bands, level.channels


def _delta(image: NDArray[np.float32], axis: int, config: ImageConfig, order: int) -> NDArray[np.float32]:
    half = config.delta_width // 2
    if config.delta_form == "regression":
        return _weighted_sum(_longer(image, axis, half), axis, delta_weights(config.delta_width, order))
    if image.shape[axis] < config.delta_width:
        raise ValueError(
            f"{image.shape[axis]} along {config.delta_axis}: a polynomial delta over {config.delta_width} needs as many"
        )
    return _longer(_weighted_sum(image, axis, delta_weights(config.delta_width, order)), axis, half)


def _longer(values: NDArray[np.float32], axis: int, half: int) -> NDArray[np.float32]:
    """With the first and the last repeated ``half`` times."""
    widths = [(0, 0)] * values.ndim
    widths[axis] = (half, half)
    return np.pad(values, widths, mode="edge")


def _weighted_sum(values: NDArray[np.float32], axis: int, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each sum of ``len(weights)`` neighbours along ``axis`` (-2 or -1); there are ``len(weights) - 1`` fewer."""
    n = values.shape[axis] - len(weights) + 1
    if axis == -2:
        parts = [weight * values[..., i : i + n, :] for i, weight in enumerate(weights)]
    else:
        parts = [weight * values[..., i : i + n] for i, weight in enumerate(weights)]
    return np.asarray(sum(parts), np.float32)
