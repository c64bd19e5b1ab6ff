"""The spectrogram as a Keras layer: the numbers of the kernels, computed in the graph."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ecotf.features.configs import BandSpectrogramConfig, MelSpectrogramConfig
from ecotf.features.spectrogram import FRONT_ENDS, BandSpectrogram, MelSpectrogram, build_spectrogram
from ecotf.features.transform import power_by_fft, power_in_one, power_in_two_stages, two_stages

_CONFIGS: TypeAdapter[BandSpectrogramConfig | MelSpectrogramConfig] = TypeAdapter(FRONT_ENDS.config_type())


@keras.saving.register_keras_serializable("ecotf")
class SpectrogramLayer(keras.layers.Layer):
    """Sound to spectrogram, [batch, n_samples] to [batch, n_frames, n_rows], equal to what `build_spectrogram` makes.

    Powers agree within 1e-5 of a frame's greatest, decibels within 1e-3 for what lies up to 40 dB below it. The
    transform of a window whose length is not a power of two is one product of matrices, or two that are cheaper, so
    that every step has an operation in TFLite.

    Parameters
    ----------
    config
        The config, or its values as a dict.
    sample_rate
        Of the sound, in real time.

    Raises
    ------
    ConfigError
        As `build_spectrogram`.
    """

    def __init__(
        self, config: BandSpectrogramConfig | MelSpectrogramConfig | dict[str, Any], sample_rate: int, **kwargs: Any
    ) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self.spectrogram_config = _CONFIGS.validate_python(config)
        self.sample_rate = sample_rate
        self._made = build_spectrogram(self.spectrogram_config, sample_rate)
        self._bins, self._weights = _rows_from_bins(self._made)
        n = self._made.n_window
        self._stages = None if n & (n - 1) == 0 else two_stages(n, self._bins)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """[batch, n_frames, n_rows]; the number of samples must be known."""
        return input_shape[0], self._made.n_frames(_known(input_shape[1])), self._made.n_rows

    def call(self, sound: Any) -> Any:
        """Compute the spectrograms of ``sound``, float [batch, n_samples] in [-1, 1]."""
        n_samples = _known(sound.shape[1])
        config = self.spectrogram_config
        sound = tf.cast(sound, tf.float32)
        n_frames = self._made.n_frames(n_samples)
        if n_frames == 0:
            return tf.zeros([tf.shape(sound)[0], 0, self._made.n_rows])
        if self._made.preemphasis:
            sound = sound[:, 1:] - self._made.preemphasis * sound[:, :-1]
            n_samples -= 1
        values = self._power(self._frames(sound, n_samples, n_frames))
        values = self._scaled(values, n_frames)
        if config.denoise == "none" and config.smooth_sigma == 0:
            return values
        ends = [0, *_block_ends(n_frames, self._made.block_frames)]
        blocks = [self._finished(values[:, a:b]) for a, b in pairwise(ends)]
        return tf.concat(blocks, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the settings that build the layer again."""
        return {
            **super().get_config(),
            "config": self.spectrogram_config.model_dump(),
            "sample_rate": self.sample_rate,
        }

    def _frames(self, sound: Any, n_samples: int, n_frames: int) -> Any:
        """[batch, n_frames, n_window]: rows of a hop each, as many side by side as a window needs."""
        made = self._made
        if 0 < made.edge < n_samples and self.spectrogram_config.padding == "reflect":
            edge = made.edge
            before, after = tf.reverse(sound[:, 1 : edge + 1], [1]), tf.reverse(sound[:, -edge - 1 : -1], [1])
            sound = tf.concat([before, sound, after], axis=1)
        elif made.edge and self.spectrogram_config.padding == "reflect":  # mirrored more than once
            sound = tf.gather(sound, _mirrored(n_samples, made.edge), axis=1)
        elif made.edge:
            sound = tf.pad(sound, [[0, 0], [made.edge, made.edge]])
        hops = -(-made.n_window // made.hop)
        n_rows = n_frames + hops - 1
        if sound.shape[1] > n_rows * made.hop:  # TFLite's fast kernels take no graph that slices beyond the end
            sound = sound[:, : n_rows * made.hop]
        if sound.shape[1] < n_rows * made.hop:
            sound = tf.pad(sound, [[0, 0], [0, n_rows * made.hop - sound.shape[1]]])
        rows = tf.reshape(sound, [-1, n_rows, made.hop])
        return tf.concat([rows[:, i : i + n_frames] for i in range(hops)], axis=2)[:, :, : made.n_window]

    def _power(self, frames: Any) -> Any:
        made = self._made
        if self._stages is not None:
            power = power_in_two_stages(frames, made.analysis_window, self._stages)
        elif made.n_window & (made.n_window - 1) == 0:
            power = power_by_fft(frames, made.analysis_window, self._bins)
        else:
            power = power_in_one(frames, made.analysis_window, self._bins)
        return power if self._weights is None else tf.matmul(power, self._weights)

    def _scaled(self, power: Any, n_frames: int) -> Any:
        config = self.spectrogram_config
        floored = tf.maximum(power, np.float32(10 ** (config.floor_db / 10)))
        if config.scale == "log1p":
            return tf.math.log1p(power)
        if config.scale == "ln":
            return tf.math.log(floored)
        if config.scale == "db":
            return tf.math.log(floored) * np.float32(10 / np.log(10))
        return self._pcen(power, n_frames) if config.scale == "pcen" else power

    def _pcen(self, power: Any, n_frames: int) -> Any:
        """PCEN; its running average is a product with the weights of all frames before."""
        pcen, pace = self.spectrogram_config.pcen, self._made.pcen_pace
        age = np.subtract.outer(np.arange(n_frames), np.arange(n_frames))
        share = np.where(age >= 0, pace * (1 - pace) ** np.maximum(age, 0), 0).astype(np.float32)
        begun = ((1 - pace) ** (np.arange(n_frames) + 1)).astype(np.float32)[:, None]
        average = tf.matmul(tf.broadcast_to(share, [tf.shape(power)[0], n_frames, n_frames]), power) + begun
        level = power * tf.exp(-pcen.gain * tf.math.log(average + pcen.eps)) + pcen.bias
        return tf.pow(level, pcen.power) - np.float32(pcen.bias**pcen.power)

    def _finished(self, block: Any) -> Any:
        """One block without its background, smoothed."""
        config = self.spectrogram_config
        if config.denoise == "mean":
            block = tf.nn.relu(block - tf.reduce_mean(block, axis=1, keepdims=True))
        elif config.denoise == "median":
            block = tf.nn.relu(block - _median(block))
        elif config.denoise == "published":
            loud = tf.cast(tf.reduce_mean(block, axis=2, keepdims=True) > config.mask_level, tf.float32)
            means = [
                tf.reduce_sum(block * part, axis=1, keepdims=True)
                / tf.maximum(tf.reduce_sum(part, axis=1, keepdims=True), 1.0)
                for part in (loud, 1 - loud)
            ]
            block = tf.nn.relu(block - loud * means[0] - (1 - loud) * means[1])
        return _smoothed(block, self._made.smoothing)


def _rows_from_bins(made: Any) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
    """The bins that are needed, ascending, and the weights that make rows of them, [n_bins, n_rows] or None."""
    if isinstance(made, BandSpectrogram):
        return np.arange(made.first_bin, made.first_bin + made.n_rows), None
    assert isinstance(made, MelSpectrogram)
    used = np.flatnonzero(made.weights.any(axis=0))
    bins = np.arange(used[0], used[-1] + 1)
    return bins, made.weights[:, bins].T.astype(np.float32)


def _mirrored(n_samples: int, edge: int) -> NDArray[np.int32]:
    """Which sample stands where in sound that is mirrored beyond its ends, int32 [n_samples + 2 * edge]."""
    at = np.arange(-edge, n_samples + edge)
    if n_samples == 1:
        return np.zeros(len(at), np.int32)
    return ((n_samples - 1) - np.abs(at % (2 * n_samples - 2) - (n_samples - 1))).astype(np.int32)


def _known(n_samples: int | None) -> int:
    if n_samples is None:
        raise ValueError("sound of unknown length: give the layer an input of shape [batch, n_samples]")
    return n_samples


def _block_ends(n_frames: int, block: int) -> list[int]:
    """Where blocks end; a tail shorter than half a block joins the last."""
    whole = max(0, (n_frames - block // 2) // block)
    ends = [block * (i + 1) for i in range(whole)]
    return ends if ends and ends[-1] == n_frames else [*ends, n_frames]


def _median(block: Any) -> Any:
    """The median over frames, [batch, 1, rows]."""
    n = block.shape[1]
    greatest = tf.math.top_k(tf.transpose(block, [0, 2, 1]), n // 2 + 1).values
    middle = greatest[..., -1:] if n % 2 else (greatest[..., -1:] + greatest[..., -2:-1]) * 0.5
    return tf.transpose(middle, [0, 2, 1])


def _smoothed(block: Any, half: NDArray[np.float32]) -> Any:
    """[batch, frames, rows] smoothed along both, with half a kernel, its middle first; ends reflect."""
    radius = len(half) - 1
    if radius == 0:
        return block
    if min(block.shape[1:]) < radius:  # reflected more than once
        along_rows = tf.matmul(block, _smoothing(block.shape[2], half))
        along_frames = _smoothing(block.shape[1], half)
        return tf.transpose(tf.matmul(tf.transpose(along_rows, [0, 2, 1]), along_frames), [0, 2, 1])
    kernel = np.concatenate([half[:0:-1], half]).reshape(-1, 1, 1, 1)
    image = tf.pad(block, [[0, 0], [radius, radius], [radius, radius]], mode="SYMMETRIC")[..., None]
    image = tf.nn.conv2d(image, kernel, 1, "VALID")
    return tf.nn.conv2d(image, kernel.reshape(1, -1, 1, 1), 1, "VALID")[..., 0]


def _smoothing(n: int, half: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matrix [n, n] that smooths n numbers from the right: half a kernel, its middle first; ends reflect."""
    offsets = np.arange(1 - len(half), len(half))
    source = (np.arange(n)[:, None] + offsets) % (2 * n)
    source = np.where(source < n, source, 2 * n - 1 - source)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (source, np.arange(n)[:, None]), half[np.abs(offsets)])
    return matrix.astype(np.float32)
