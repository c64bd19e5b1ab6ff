"""From the levels of a clip to the image that a network sees; `image_layer` has the same for the graph."""

from __future__ import annotations

from math import factorial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.features.spectrogram import Spectrogram


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
    """

    top_db: float | None = Field(80.0, gt=0)
    offset: float = 80.0
    scale: float = Field(80.0, gt=0)
    channels: Literal[1, 3] = 1
    delta_axis: Literal["time", "bands"] = "time"
    delta_width: int = Field(5, ge=3, le=51)
    delta_form: Literal["regression", "polynomial"] = "regression"

    @model_validator(mode="after")
    def _width_is_odd(self) -> ImageConfig:
        if self.delta_width % 2 == 0:
            raise ValueError(f"delta_width = {self.delta_width}: allowed are odd numbers, so that it has a middle")
        return self


def delta_weights(width: int, order: int) -> NDArray[np.float32]:
    """Weights of ``width`` neighbours that give the derivative of a fitted polynomial of degree ``order``."""
    offsets = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(offsets, order + 1, increasing=True))
    return np.asarray(factorial(order) * fit[order], np.float32)


def make_image(levels: NDArray[Any], config: ImageConfig) -> NDArray[np.float32]:
    """Make the images of clips.

    Parameters
    ----------
    levels
        Decibels, [..., frames, bands].

    Returns
    -------
    float32 [..., frames, bands, channels]

    Raises
    ------
    ValueError
        There is no frame or no band; a ``polynomial`` delta has fewer than ``delta_width`` of them.
    """
    levels = np.asarray(levels, np.float32)
    if levels.ndim < 2 or 0 in levels.shape[-2:]:
        raise ValueError(f"levels of shape {levels.shape}: expected [..., frames, bands], at least one of each")
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
    return make_image(spectrogram.batch(sounds, threads), level)


def image_shape(spectrogram: Spectrogram, level: ImageConfig, n_samples: int) -> tuple[int, int, int]:
    """Return the shape of what `clip_images` makes of a clip of ``n_samples``."""
    if spectrogram.config.in_graph:
        return n_samples, 1, 1
    return spectrogram.n_frames(n_samples), spectrogram.n_rows, level.channels


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
