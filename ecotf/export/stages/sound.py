"""The front end as stages: sound in; frames of a spectrogram out, or the patch on its strongest peak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy as np

from ecotf.export.stages.peak_graph import strongest_function, window_function
from ecotf.export.stages.stage import Stage, TensorKind
from ecotf.features.configs import MelSpectrogramConfig
from ecotf.features.peaks import PeakConfig
from ecotf.features.spectrogram import BandSpectrogram, BandSpectrogramConfig
from ecotf.pipelines.patches import PatchesConfig

SoundType = Literal["int16", "float32"]
AnyConfig = TypeVar("AnyConfig", BandSpectrogramConfig, MelSpectrogramConfig)

# 128 ms at 384 kHz: long enough that calling the runtime costs little, short enough for a small board's caches.
CHUNK_FRAMES = 256


def raw_config(config: AnyConfig) -> AnyConfig:
    """Return the spectrogram's config without denoising and smoothing, so that no frame depends on another."""
    return config.model_copy(update={"denoise": "none", "smooth_sigma": 0.0})


def samples_of(spectrogram: BandSpectrogram, n_frames: int) -> int:
    """Return the number of samples that this number of frames needs."""
    return (n_frames - 1) * spectrogram.hop + spectrogram.n_window


def spectrogram_stage(config: BandSpectrogramConfig, rate: int, sound: SoundType) -> Stage:
    """Make a stage from ``sound`` [1, chunk] to ``frames`` [1, CHUNK_FRAMES, rows]; the recorder denoises them."""
    n_samples = samples_of(BandSpectrogram(raw_config(config), rate), CHUNK_FRAMES)
    compute = spectrogram_function(raw_config(config), rate)
    return Stage("spectrogram", lambda sound: {"frames": compute(sound)}, {"sound": TensorKind((1, n_samples), sound)})


def strongest_stage(
    config: BandSpectrogramConfig,
    rate: int,
    sound: SoundType,
    peaks: PeakConfig,
    patches: PatchesConfig,
    measured: bool,
) -> Stage:
    """Make a stage from ``sound`` [1, one block] to the ``patch`` on its strongest peak, and its ``measures``."""
    made = BandSpectrogram(config, rate)
    slices = patches.slices(config.hop_s)
    n_samples = samples_of(made, made.block_frames)
    compute = spectrogram_function(config, rate)
    look = strongest_function(made.block_frames, made.n_rows, made.hop_s, slices, peaks, patches, measured)
    return Stage("strongest", lambda sound: look(compute(sound)[0]), {"sound": TensorKind((1, n_samples), sound)})


def middle_stage(config: BandSpectrogramConfig, rate: int, sound: SoundType, patches: PatchesConfig) -> Stage:
    """Make a stage from ``sound`` to the ``patch`` in its middle.

    The sound is as long as a patch, or a longer block."""
    made = BandSpectrogram(config, rate)
    slices = patches.slices(config.hop_s)
    n_samples = middle_samples(made, patches)
    n_frames = made.n_frames(n_samples)
    first = n_frames // 2 - slices // 2
    compute = spectrogram_function(config, rate)
    reduce = window_function(slices, made.n_rows, patches)

    def run(sound: Any) -> dict[str, Any]:
        import tensorflow as tf

        values = compute(sound)[0]
        inside = values[max(0, first) : max(0, first) + slices]
        before = max(0, -first)
        return {"patch": reduce(tf.pad(inside, [[before, slices - before - inside.shape[0]], [0, 0]]))}

    return Stage("middle", run, {"sound": TensorKind((1, n_samples), sound)})


def middle_samples(made: BandSpectrogram, patches: PatchesConfig) -> int:
    """Return the number of samples that `middle_stage` takes."""
    return max(round(patches.width_s * made.sample_rate), samples_of(made, made.block_frames))


def spectrogram_function(config: BandSpectrogramConfig | MelSpectrogramConfig, rate: int) -> Callable[[Any], Any]:
    """Make a function from sound [1, n] of either type to a spectrogram [1, frames, rows]."""
    from ecotf.features.layer import SpectrogramLayer

    layer = SpectrogramLayer(config, rate)
    return lambda sound: layer(as_float(sound))


def as_float(sound: Any) -> Any:
    """Return sound of either type as float32, 1 at full scale."""
    import tensorflow as tf

    return tf.cast(sound, tf.float32) * np.float32(1 / 32768) if sound.dtype == tf.int16 else sound
