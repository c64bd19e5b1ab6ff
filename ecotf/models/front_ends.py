"""Front ends inside the network: from sound to what a backbone sees, with layers that learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ecotf.features.configs import MelSpectrogramConfig, WavegramConfig
from ecotf.features.image import ImageConfig
from ecotf.models.backbones.conv_block import conv_block, normalise, wide
from ecotf.registry import Registry


@dataclass(frozen=True)
class GraphFrontEnd:
    """A front end that is part of the network, and what it needs to know.

    Attributes
    ----------
    config
        Its settings; ``config.in_graph`` is true.
    level
        How the levels of its spectrogram become an image.
    sample_rate
        Hz.
    band_norm
        Whether its spectrogram is normalised by band ("bn0").
    """

    config: MelSpectrogramConfig
    level: ImageConfig
    sample_rate: int
    band_norm: bool


GRAPH_FRONT_ENDS: Registry[Any] = Registry("front end in the graph")
"""The front ends whose config says ``in_graph``; an entry makes, from ``(config, front_end, n_samples)``, a Keras model
``front_end`` from sound ``(batch, n_samples, 1, 1)`` to ``(batch, t, f, c)``; t and f as ``config.seen`` says."""


def build_front_end(front_end: GraphFrontEnd, n_samples: int) -> Any:
    """Build the layers of a front end for clips of ``n_samples``."""
    return GRAPH_FRONT_ENDS.build(front_end.config, front_end, n_samples)


def norm_and_masks(x: Any, band_norm: bool, masks: bool) -> Any:
    """Normalise the bands of an image, then blank parts of it out where a stage asks for it."""
    import keras

    from ecotf.models.masking import Masking

    if band_norm:
        x = keras.layers.BatchNormalization(axis=2, momentum=0.9, epsilon=1e-5, name="band_norm")(x)
    return Masking(name="masks")(x) if masks else x


@GRAPH_FRONT_ENDS.register(WavegramConfig)
def build_wavegram(config: WavegramConfig, front_end: GraphFrontEnd, n_samples: int) -> Any:
    """Build the wavegram and the log-mel spectrogram with its first block, side by side (Kong et al. 2020).

    The wavegram: a convolution of the sound (11 samples, every 5th), three blocks of two convolutions (the second one
    dilated) that each take the greatest of 4, whose channels become rows of 32, and a block of two dimensions.
    """
    import keras

    from ecotf.features.image_layer import ImageLayer
    from ecotf.features.layer import SpectrogramLayer

    sound = keras.Input((n_samples, 1, 1))
    x = SpectrogramLayer(config, front_end.sample_rate, dtype="float32")(keras.layers.Reshape((n_samples,))(sound))
    x = norm_and_masks(ImageLayer(front_end.level)(x), front_end.band_norm, masks=True)
    x = conv_block(x, wide(64, config.width), "conv_block1")
    frames, bands, _ = x.shape[1:]
    wave = keras.layers.ZeroPadding1D(5)(keras.layers.Reshape((n_samples, 1))(sound))
    wave = _convolve(wave, wide(64, config.width), "pre_conv0", "pre_bn0", kernel_size=11, strides=5)
    images = wide(4, config.width)  # of as many rows as the spectrogram has after its first block
    for number, filters in enumerate((wide(64, config.width), wide(128, config.width), images * bands), start=1):
        wave = _wave_block(wave, filters, f"pre_block{number}")
    wave = keras.layers.Reshape((wave.shape[1], images, bands))(wave)
    wave = keras.layers.Permute((1, 3, 2))(wave)
    wave = conv_block(wave, wide(64, config.width), "pre_block4", size=(2, 1))
    # the spectrogram is centred, so it may be half a pooling longer
    frames = min(frames, wave.shape[1])
    x = keras.layers.Concatenate()([_first(x, frames), _first(wave, frames)])
    return keras.Model(sound, x, name="front_end")


def _convolve(x: Any, filters: int, name: str, norm: str, **options: Any) -> Any:
    import keras

    return normalise(keras.layers.Conv1D(filters, use_bias=False, name=name, **options)(x), norm)


def _wave_block(x: Any, filters: int, name: str) -> Any:
    import keras

    x = _convolve(x, filters, f"{name}_conv1", f"{name}_bn1", kernel_size=3, padding="same")
    x = _convolve(x, filters, f"{name}_conv2", f"{name}_bn2", kernel_size=3, padding="same", dilation_rate=2)
    return keras.layers.MaxPooling1D(4)(x)


def _first(x: Any, frames: int) -> Any:
    import keras

    return x if x.shape[1] == frames else keras.layers.Cropping2D(((0, x.shape[1] - frames), (0, 0)))(x)
