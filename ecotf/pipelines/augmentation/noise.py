"""Noise added to sound ``[n, samples]``: white at an amplitude or a signal-to-noise ratio, pink, and backgrounds."""

from __future__ import annotations

from typing import Any

from ecotf.pipelines.augmentation.draws import Chance, Draws, Measure, Range, level, normal, uniform, whole_number


class NoiseInjection(Chance):
    """White Gaussian noise whose standard deviation is drawn, whatever the sound's level."""

    amplitude: Range = (0.0, 0.04)


class NoiseBySnr(Chance):
    """Noise as much below the sound as is drawn.

    Attributes
    ----------
    snr_db
        Level of the sound over that of the noise.
    measure
        What a level is: ``rms`` (as in audiomentations), or the greatest amplitude (``peak``; as published for
        GaussianNoise and PinkNoise).
    """

    snr_db: Range = (5.0, 20.0)
    measure: Measure = "rms"


def draw_noise_injection(config: NoiseInjection, sound: Any, seed: Any) -> Draws:
    """``amplitude`` ``[n]`` and ``white`` ``[n, samples]``."""
    import tensorflow as tf

    amplitude = uniform(seed, "amplitude", tf.shape(sound)[0], *config.amplitude)
    return {"amplitude": amplitude, "white": normal(seed, "white", tf.shape(sound))}


def apply_noise_injection(sound: Any, draws: Draws) -> Any:
    """sound + amplitude * white."""
    return sound + draws["amplitude"][:, None] * draws["white"]


def draw_noise_by_snr(config: NoiseBySnr, sound: Any, seed: Any) -> Draws:
    """``snr_db`` ``[n]`` and ``white`` ``[n, samples]``; of pink noise too."""
    import tensorflow as tf

    snr_db = uniform(seed, "snr_db", tf.shape(sound)[0], *config.snr_db)
    return {"snr_db": snr_db, "white": normal(seed, "white", tf.shape(sound))}


def apply_gaussian_noise(sound: Any, draws: Draws, measure: Measure = "rms") -> Any:
    """Sound + white noise, ``snr_db`` below it."""
    return at_snr(sound, draws["white"], draws["snr_db"], measure)


def apply_pink_noise(sound: Any, draws: Draws, measure: Measure = "rms") -> Any:
    """Sound + noise whose power falls with frequency, 3 dB an octave, ``snr_db`` below it."""
    return at_snr(sound, pink(draws["white"]), draws["snr_db"], measure)


def pink(white: Any) -> Any:
    """White noise with its amplitudes divided by the root of frequency; the constant part counts as the lowest."""
    import tensorflow as tf

    spectrum = tf.signal.rfft(white)
    number = tf.maximum(tf.range(tf.shape(spectrum)[1], dtype=tf.float32), 1.0)
    return tf.signal.irfft(spectrum * tf.cast(tf.math.rsqrt(number), tf.complex64), fft_length=[tf.shape(white)[1]])


def draw_background(config: NoiseBySnr, sound: Any, n_backgrounds: Any, seed: Any, apart: Any = None) -> Draws:
    """``which`` int ``[n]`` of the backgrounds, and ``snr_db`` ``[n]``.

    Where ``apart``, bool ``[n, n_backgrounds]``, is given, each sound gets one of those where it is true; -1 is none.
    """
    import tensorflow as tf

    n = tf.shape(sound)[0]
    if apart is None:
        which = whole_number(seed, "which", n, n_backgrounds)
    else:
        place = whole_number(seed, "which", n, tf.math.count_nonzero(apart, axis=1))
        first = tf.argsort(tf.cast(apart, tf.int32), axis=1, direction="DESCENDING", stable=True)
        which = tf.where(place < 0, -1, tf.gather(first, tf.maximum(place, 0), batch_dims=1))
    return {
        "which": which,
        "snr_db": uniform(seed, "snr_db", n, *config.snr_db),
    }


def apply_background(sound: Any, draws: Draws, backgrounds: Any, measure: Measure = "rms") -> Any:
    """Sound + one of ``backgrounds`` ``[m, samples]``, ``snr_db`` below it; nothing where ``which`` is -1."""
    import tensorflow as tf

    which = draws["which"]
    chosen = tf.gather(backgrounds, tf.maximum(which, 0))
    return at_snr(sound, tf.where(which[:, None] < 0, 0.0, chosen), draws["snr_db"], measure)


def at_snr(sound: Any, noise: Any, snr_db: Any, measure: Measure) -> Any:
    """Sound + noise scaled to be ``snr_db`` below it; silent noise adds nothing, and to silence nothing is added."""
    import tensorflow as tf

    wanted = level(sound, measure) * tf.pow(10.0, -snr_db[:, None] / 20.0)
    return sound + noise * tf.math.divide_no_nan(wanted, level(noise, measure))
