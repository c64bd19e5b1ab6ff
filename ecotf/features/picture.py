"""Images as networks for photographs want them: harmonic, percussive and delta parts; resized, cropped, normalised."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.features.delta import delta
from ecotf.features.resize import resize
from ecotf.features.separation import harmonic_percussive

Part = Literal["harmonic", "percussive", "delta"]

# Mean and standard deviation of ImageNet's red, green and blue, as torchvision subtracts and divides by them.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SeparationConfig(Config):
    """Three channels as published for Darksound: what lasts, what is short, and how the level changes.

    The power of the spectrogram is separated by medians; each part is taken in decibels, no further than ``top_db``
    below its own greatest, and scaled to 0..1 over the image. The published code takes decibels of the power as if it
    were an amplitude, so its 80 are 40 here: set ``top_db`` to 40.

    Attributes
    ----------
    order
        The channels. Published: harmonic, percussive, delta (2023); delta, harmonic, percussive (2024).
    margin
        How many times the harmonic part must exceed the percussive one, and the percussive the harmonic one.
    width
        Odd number of frames, and of bands, over which medians are taken.
    sharpness
        Exponent of the soft mask.
    floor_db
        Lower levels are raised to there, before the greatest is looked for.
    """

    order: tuple[Part, Part, Part] = ("harmonic", "percussive", "delta")
    margin: tuple[float, float] = (1.0, 5.0)
    width: int = Field(31, ge=3, le=255)
    sharpness: float = Field(2.0, gt=0)
    floor_db: float = Field(-50.0, ge=-370, le=370)

    @model_validator(mode="after")
    def _can_be(self) -> SeparationConfig:
        if len(set(self.order)) < 3:
            raise ValueError(f"order = {', '.join(self.order)}: each of harmonic, percussive and delta once")
        if min(self.margin) < 1:
            raise ValueError(f"margin = {self.margin}: each is at least 1")
        if self.width % 2 == 0:
            raise ValueError(f"width = {self.width}: allowed are odd numbers, so that it has a middle")
        return self


def separated_parts(
    levels: NDArray[np.float32], config: SeparationConfig, top_db: float | None, delta_width: int
) -> NDArray[np.float32]:
    """Make the three channels of one image, each from 0 to 1; a part that is the same everywhere is 0.

    Parameters
    ----------
    levels
        Decibels of power, [frames, bands].
    top_db
        Levels further than this below the greatest of each part are raised to there; None leaves them.
    delta_width
        Frames that the change is fitted to.

    Returns
    -------
    float32 [frames, bands, 3]

    Notes
    -----
    As ``librosa.decompose.hpss`` and ``librosa.feature.delta``.
    """
    power = np.power(np.float32(10), levels / np.float32(10), dtype=np.float32)
    harmonic, percussive = harmonic_percussive(power, config.width, config.sharpness, config.margin)
    # Nothing is as deep as the floor.
    least = np.float32(10 ** (config.floor_db / 10))
    parts = {
        "harmonic": _raised(10 * np.log10(np.maximum(harmonic, least)), top_db),
        "percussive": _raised(10 * np.log10(np.maximum(percussive, least)), top_db),
        "delta": delta(_raised(np.maximum(levels, np.float32(config.floor_db)), top_db), delta_width),
    }
    return np.stack([_from_0_to_1(parts[name]) for name in config.order], axis=-1)


def resized_image(
    image: NDArray[np.float32], shorter: int | None, crop: int | None, normalised: bool
) -> NDArray[np.float32]:
    """Resize an image so that its shorter side has a size, cut a square out of its middle, and normalise it.

    Parameters
    ----------
    image
        [frames, bands, channels]
    shorter, crop
        Pixels; None leaves the image as it is.
    normalised
        Whether channels are normalised as the photographs of ImageNet are; one channel by the mean of the three.
    """
    frames, bands, channels = image.shape
    if shorter is not None or crop is not None:
        n_frames, n_bands = resized_shape(frames, bands, shorter, None)
        planes = [image[..., i] for i in range(channels)]
        if (n_frames, n_bands) != (frames, bands):
            planes = [resize(plane, n_frames, n_bands) for plane in planes]
        height, width = resized_shape(frames, bands, shorter, crop)
        top, left = round((n_frames - height) / 2), round((n_bands - width) / 2)
        image = np.stack([plane[top : top + height, left : left + width] for plane in planes], axis=-1)
    if normalised:
        mean, deviation = np.array(_MEAN, np.float32), np.array(_DEVIATION, np.float32)
        if channels == 1:
            mean, deviation = mean.mean(keepdims=True), deviation.mean(keepdims=True)
        image = (image - mean) / deviation
    return np.ascontiguousarray(image, np.float32)


def resized_shape(frames: int, bands: int, shorter: int | None, crop: int | None) -> tuple[int, int]:
    """Return frames and bands of `resized_image`: as torchvision, the longer side is cut off to whole pixels."""
    if shorter is not None:
        least = min(frames, bands)
        frames, bands = (shorter if side == least else int(shorter * side / least) for side in (frames, bands))
    return (frames, bands) if crop is None else (min(frames, crop), min(bands, crop))


def _raised(levels: NDArray[Any], top_db: float | None) -> NDArray[np.float32]:
    levels = np.asarray(levels, np.float32)
    return levels if top_db is None else np.maximum(levels, levels.max() - np.float32(top_db))


def _from_0_to_1(part: NDArray[np.float32]) -> NDArray[np.float32]:
    least, greatest = part.min(), part.max()
    return (part - least) / (greatest - least) if greatest > least else np.zeros_like(part)
