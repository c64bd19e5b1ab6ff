"""All augmentations of sound, in order, as a recipe sets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.pipelines.augmentation import loudness, mixing, noise, timing
from ecotf.pipelines.augmentation.draws import OneOf, coins, on_some, seed_of

_SINGLE = (
    "noise_injection", "gaussian_noise", "pink_noise", "gain", "gain_ramp", "fade", "polarity", "time_stretch",
    "pitch_shift", "time_shift",
)  # fmt: skip
_MIXING = ("sum_mixup", "beta_mixup", "between_class")


class AugmentSoundConfig(Config):
    """The augmentations of sound; none by default. They are applied in this order.

    Attributes
    ----------
    noise_injection, gaussian_noise, pink_noise
        White noise at an amplitude, white and pink noise at a signal-to-noise ratio.
    backgrounds
        Recordings of background mixed in: one entry for each set of them, in the order in which sets are given.
    gain, gain_ramp, fade, polarity
        Loudness.
    sum_mixup, beta_mixup, between_class
        The clips of a batch mixed with each other.
    time_stretch, pitch_shift, time_shift
        Time and pitch.
    one_of
        Groups of which a clip gets at most one, by name; not of backgrounds and mixups.
    """

    noise_injection: noise.NoiseInjection = noise.NoiseInjection()
    gaussian_noise: noise.NoiseBySnr = noise.NoiseBySnr()
    pink_noise: noise.NoiseBySnr = noise.NoiseBySnr()
    backgrounds: tuple[noise.NoiseBySnr, ...] = ()
    gain: loudness.Gain = loudness.Gain()
    gain_ramp: loudness.GainRamp = loudness.GainRamp()
    fade: loudness.Fade = loudness.Fade()
    polarity: loudness.Polarity = loudness.Polarity()
    sum_mixup: mixing.SumMixup = mixing.SumMixup()
    beta_mixup: mixing.BetaMixup = mixing.BetaMixup()
    between_class: mixing.BetweenClass = mixing.BetweenClass()
    time_stretch: timing.TimeStretch = timing.TimeStretch()
    pitch_shift: timing.PitchShift = timing.PitchShift()
    time_shift: timing.TimeShift = timing.TimeShift()
    one_of: tuple[OneOf, ...] = Field(())

    @model_validator(mode="after")
    def _groups_are_of_singles(self) -> AugmentSoundConfig:
        names = [name for group in self.one_of for name in group.names]
        for name in names:
            if name not in _SINGLE:
                raise ValueError(f"one_of names {name!r}; allowed: {', '.join(_SINGLE)}")
            if names.count(name) > 1:
                raise ValueError(f"one_of names {name!r} twice; once is allowed")
            if getattr(self, name).probability == 0:
                raise ValueError(
                    f"one_of names {name!r}, whose probability is 0; above 0 it says how often it is chosen"
                )
        return self

    def chances(self) -> dict[str, float]:
        """Name to probability of what is done at all; backgrounds are ``background 0`` and on."""
        chances = {name: getattr(self, name).probability for name in (*_SINGLE, *_MIXING)}
        chances |= {f"background {i}": config.probability for i, config in enumerate(self.backgrounds)}
        return {name: chance for name, chance in chances.items() if chance > 0}


def augment_sound(
    sound: Any,
    targets: Any,
    config: AugmentSoundConfig,
    seed: Any,
    backgrounds: Sequence[Any] = (),
    *,
    sample_rate: float,
) -> tuple[Any, Any]:
    """Augment a batch; as :func:`augment_clips`, where clips have no weights."""
    import tensorflow as tf

    weight = tf.ones([tf.shape(sound)[0]])
    return augment_clips(sound, targets, weight, config, seed, backgrounds, sample_rate=sample_rate)[:2]


def augment_clips(
    sound: Any,
    targets: Any,
    weight: Any,
    config: AugmentSoundConfig,
    seed: Any,
    backgrounds: Sequence[Any] = (),
    *,
    sample_rate: float,
    apart: Sequence[Any] = (),
) -> tuple[Any, Any, Any]:
    """Augment a batch.

    Parameters
    ----------
    sound
        float32 ``[n, samples]``.
    targets
        float32 ``[n, classes]``.
    weight
        float32 ``[n]``; mixed as the clips are.
    seed
        int ``[2]``; the same seed gives the same batch.
    backgrounds
        For each of ``config.backgrounds``, float32 ``[m, samples]`` to choose from.
    sample_rate
        In Hz.
    apart
        For each of ``config.backgrounds``, bool ``[n, m]``: which of them a clip may get. By default all.
    """
    import tensorflow as tf

    chances = config.chances()
    thrown = coins(seed, tf.shape(sound)[0], chances, config.one_of)
    seeds = {name: seed_of(seed, name) for name in chances}
    window = timing.vocoder_window(sample_rate)
    pools = tuple(zip(backgrounds, apart or (None,) * len(backgrounds), strict=True))
    # Mixing comes in the middle, so what is before it runs on the clips, what is after it on what they became.
    for name in (*_BEFORE_BACKGROUND, *(f"background {i}" for i in range(len(config.backgrounds))), *_BEFORE_MIXING):
        if name in chances:
            sound = on_some(thrown[name], sound, _change(name, config, seeds[name], pools, sample_rate, window))
    n = tf.shape(sound)[0]
    if "sum_mixup" in chances:
        drawn = mixing.draw_sum_mixup(config.sum_mixup, n, seeds["sum_mixup"])
        sound, targets, weight = mixing.apply_sum_mixup(sound, targets, weight, thrown["sum_mixup"], drawn)
    if "beta_mixup" in chances:
        drawn = mixing.draw_beta_mixup(config.beta_mixup, n, seeds["beta_mixup"])
        sound, targets, weight = mixing.apply_beta_mixup(sound, targets, weight, thrown["beta_mixup"], drawn)
    if "between_class" in chances:
        drawn = mixing.draw_between_class(config.between_class, targets, seeds["between_class"])
        loud = mixing.loudness_of(sound, sample_rate, config.between_class.floor_db)
        sound, targets, weight = mixing.apply_between_class(
            sound, targets, weight, thrown["between_class"], drawn, loud
        )
    for name in _AFTER_MIXING:
        if name in chances:
            sound = on_some(thrown[name], sound, _change(name, config, seeds[name], pools, sample_rate, window))
    return sound, targets, weight


_BEFORE_BACKGROUND = ("noise_injection", "gaussian_noise", "pink_noise")
_BEFORE_MIXING = ("gain", "gain_ramp", "fade", "polarity")
_AFTER_MIXING = ("time_stretch", "pitch_shift", "time_shift")


def _change(
    name: str,
    config: AugmentSoundConfig,
    seed: Any,
    pools: Sequence[tuple[Any, Any]],
    sample_rate: float,
    window: int,
) -> Any:
    """Change the sounds ``x`` of the batch that were drawn for it."""
    import tensorflow as tf

    if name.startswith("background "):
        number = int(name.removeprefix("background "))
        own, (sounds, apart) = config.backgrounds[number], pools[number]

        def mixed(x: Any, index: Any) -> Any:
            allowed = None if apart is None else tf.gather(apart, index)
            drawn = noise.draw_background(own, x, tf.shape(sounds)[0], seed, allowed)
            return noise.apply_background(x, drawn, sounds, own.measure)

        return mixed
    own = getattr(config, name)
    if name in ("time_stretch", "pitch_shift"):
        draw, apply = getattr(timing, f"draw_{name}"), getattr(timing, f"apply_{name}")

        def vocoded(x: Any, _: Any) -> Any:
            ((key, drawn),) = draw(own, x, seed).items()
            return timing.in_slices(lambda rows, values: apply(rows, {key: values}, window), x, drawn)

        return vocoded
    changes = {
        "noise_injection": lambda x, _: noise.apply_noise_injection(x, noise.draw_noise_injection(own, x, seed)),
        "gaussian_noise": lambda x, _: noise.apply_gaussian_noise(
            x, noise.draw_noise_by_snr(own, x, seed), own.measure
        ),
        "pink_noise": lambda x, _: noise.apply_pink_noise(x, noise.draw_noise_by_snr(own, x, seed), own.measure),
        "gain": lambda x, _: loudness.apply_gain(x, loudness.draw_gain(own, x, seed)),
        "gain_ramp": lambda x, _: loudness.apply_gain_ramp(x, loudness.draw_gain_ramp(own, x, sample_rate, seed)),
        "fade": lambda x, _: loudness.apply_fade(x, loudness.draw_fade(own, x, sample_rate, seed)),
        "polarity": lambda x, _: loudness.apply_polarity(x),
        "time_shift": lambda x, _: timing.apply_time_shift(x, timing.draw_time_shift(own, x, seed), own.roll),
    }
    return changes[name]
